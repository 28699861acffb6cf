// SPDX-License-Identifier: GPL-2.0-only
#include "store/daemon.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>

#include "base/io.hpp"
#include "store/refusals.hpp"
#include "store/sockets.hpp"
#include "store/xen_machine.hpp"

namespace streak::store {

namespace {

using base::LogLevel;
using namespace std::chrono_literals;

constexpr unsigned turns_at_once = 32;
/// Toolstacks remove what a dead domain had within this time.
constexpr std::chrono::microseconds sweep_after = 1s;
constexpr auto predecessor_ends_within = 3s;

/// Holds the daemon's place: one at a time. What is opened first is closed last when a process is killed, so that its
/// ports are free once its place is.
[[nodiscard]] base::Outcome<base::Fd> take_place(const std::string& path) {
    base::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!file) return base::errno_error("can't open " + path, errno);
    const auto until = std::chrono::steady_clock::now() + predecessor_ends_within;
    while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (std::chrono::steady_clock::now() > until)
            return base::error(base::ErrorKind::conflict, "another streak-stored runs", {}, {},
                               "Its process id is in " + path);
        ::usleep(10000);
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), pid.data(), pid.size(), 0) < 0)
        return base::errno_error("can't write " + path, errno);
    return file;
}

/// No domains at all.
struct NoMachine : Machine {
    Result<std::unique_ptr<Link>> connect(DomId, EvtchnPort) override { return fail(Errno::ENOENT); }
};

class Daemon {
public:
    [[nodiscard]] base::Outcome<> run(const DaemonOptions& options) {
        for (const char* directory : {"/run/streak", "/run/xenstored"})
            TRY(base::make_directory(base::rooted(directory)));
        TRY_ASSIGN(place, take_place(base::rooted("/run/streak/stored.pid")));
        place_ = std::move(place);
        TRY(open_store(options));
        TRY(open_loop());
        look_at_domains();
        TRY(sockets_->listen(base::rooted("/run/xenstored/socket")));
        sd_notify(0, "READY=1");
        // Domains and clients are served a little after each event; what is left over then doesn't wait for another
        // one.
        for (bool more = true; sd_event_get_state(loop_.get()) != SD_EVENT_FINISHED; more = work())
            if (const int r = sd_event_run(loop_.get(), more ? 0 : UINT64_MAX); r < 0)
                return base::errno_error("the event loop failed", -r);
        sd_notify(0, "STOPPING=1");
        return {};
    }

private:
    [[nodiscard]] base::Outcome<> open_store(const DaemonOptions& options) {
        if (!options.sockets_only) {
            TRY_ASSIGN(xen, XenMachine::open());
            xen_ = std::move(xen);
        }
        Machine& machine = xen_ ? static_cast<Machine&>(*xen_) : no_machine_;
        const Environment environment{{}, [this](DomId d, std::string_view q, std::size_t v) { refused(d, q, v); }};
        store_ = std::make_unique<Store>(machine, environment, base::rooted("/run/streak/stored.state"), base::log);
        const auto started = store_->start(xen_ ? xen_->kernel_port() : EvtchnPort{});
        if (!started) return base::hypercall_error("this kernel's ring can't be connected", started.error());
        make_first_nodes();
        return {};
    }

    [[nodiscard]] base::Outcome<> open_loop() {
        TRY_ASSIGN(loop, base::make_event_loop());
        loop_ = std::move(loop);
        sockets_ = std::make_unique<Sockets>(loop_.get(), *store_);
        if (!xen_) return {};
        rings_ = base::on_ready(loop_.get(), xen_->fd(), EPOLLIN, [this](std::uint32_t) { ring(); });
        return rings_ ? base::Outcome<>{} : base::error(base::ErrorKind::resources, "can't wait for rings");
    }

    /// What Debian's tools expect of a store that has just begun (their xen-init-dom0 writes it).
    void make_first_nodes() {
        if (store_->service().tree().size() > 1) return;
        Session& session = store_->service().open({.id = dom0_id, .privileged = true});
        constexpr char changes[] = "apply\0w/tool/xenstored\0\0w/local/domain/0/domid\0"
                                   "0\0w/local/domain/0/name\0Domain-0\0w/local/pool/0/name\0Pool-0\0w/vm\0";
        store_->handle(session, {XS_CONTROL, 0, 0, std::string(changes, sizeof changes)});
        store_->service().close(session.id);
    }

    /// True: there is more to do.
    [[nodiscard]] bool work() {
        const bool more_rings = store_->run(turns_at_once), more_sockets = sockets_->run();
        sockets_->flush_woken();
        if (store_->service().has_to_sweep() && !sweep_timer_)
            sweep_timer_ = base::after(loop_.get(), sweep_after, [this] {
                sweep_timer_.reset();
                store_->sweep();
            });
        return more_rings || more_sockets;
    }

    void ring() {
        const auto port = xen_->next_port();
        if (port == xen_->deaths_port()) look_at_domains();
        else if (port) store_->ring(*port);
    }

    void look_at_domains() {
        if (!xen_) return;
        if (const auto domains = xen_->domains()) store_->look_at(*domains);
        else
            base::log(LogLevel::error,
                      "the hypervisor doesn't tell which domains there are: " + base::describe(domains.error()));
    }

    void refused(DomId domain, std::string_view quota, std::size_t value) {
        const std::string line = refusals_.refused(domain, quota, value, std::chrono::steady_clock::now());
        if (!line.empty()) base::log(LogLevel::warning, line);
        else say_refusals_later();
    }

    void say_refusals_later() {
        if (!loop_ || refusals_timer_ || !refusals_.waiting()) return;
        refusals_timer_ = base::after(loop_.get(), RefusalLog::together, [this] {
            refusals_timer_.reset();
            for (const std::string& due : refusals_.due(std::chrono::steady_clock::now()))
                base::log(LogLevel::warning, due);
            say_refusals_later();
        });
    }

    base::Fd place_;
    base::EventLoop loop_;
    NoMachine no_machine_;
    std::unique_ptr<XenMachine> xen_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<Sockets> sockets_;
    RefusalLog refusals_;
    base::EventSource sweep_timer_, refusals_timer_, rings_;
};

} // namespace

base::Outcome<> run_daemon(const DaemonOptions& options) { return Daemon().run(options); }

} // namespace streak::store
