// SPDX-License-Identifier: GPL-2.0-only
#include "manager/server.hpp"
#include "manager/watcher.hpp"

#include <signal.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/log.hpp"
#include "config/sandbox.hpp"
#include "device/linux_host.hpp"
#include "hv/privcmd.hpp"
#include "manager/real_store.hpp"

namespace {

using namespace streak;
using namespace streak::manager;

std::int64_t uptime_s() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

/// Signals that end streakd come to wait_for_end() alone.
sigset_t block_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (int signal : {SIGTERM, SIGINT}) ::sigaddset(&signals, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return signals;
}

base::Outcome<> run() {
    const sigset_t signals = block_signals();
    const Paths paths{base::rooted("/")};

    TRY(config::start_sandbox()); // while there is nothing to be seen in this process, and one thread
    TRY_ASSIGN(port, hv::Privcmd::open());
    hv::Hypervisor hypervisor(*port);
    base::log(base::LogLevel::info, "hypervisor " + hypervisor.version().value_or("unknown") + ", build id " +
                                        hypervisor.build_id().value_or("unknown"));
    constexpr device::Milliseconds patience{10'000};
    RealStore store(paths.store_socket(), patience);
    TRY(checked(store.connect(), "no store answers on " + paths.store_socket().string() + "; start streak-stored"));
    device::LinuxHost host;
    Builder builder;
    TRY_ASSIGN(manager, Manager::open({hypervisor, store, host, builder, paths,
                                       [](const std::string& text, bool device) {
                                           return config::parse_in_sandbox(text, device);
                                       },
                                       uptime_s, patience}));
    TRY(manager->recover());
    TRY_ASSIGN(server, Server::start(*manager, paths.socket()));
    (void)server;
    static Watcher watcher(*manager);
    watcher.start();
    ::sd_notify(0, "READY=1");
    manager->autostart();

    int signal = 0;
    ::sigwait(&signals, &signal);
    ::sd_notify(0, "STOPPING=1");
    manager->stop();
    // What threads are doing is in the journal: the next streakd ends it.
    ::quick_exit(EXIT_SUCCESS);
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 1) {
        const bool help = std::string_view(argv[1]) == "--help";
        std::fputs(
            "usage: streakd [--help]\n\nCreates, changes and ends guests; see streakd(8). STREAK_ROOT=DIR keeps its "
            "files below DIR.\n",
            help ? stdout : stderr);
        return help ? EXIT_SUCCESS : 2;
    }
    if (const auto ended = run(); !ended) {
        base::log(base::LogLevel::error, ended.error().text());
        return EXIT_FAILURE;
    }
}
