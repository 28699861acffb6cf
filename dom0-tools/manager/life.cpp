// SPDX-License-Identifier: GPL-2.0-only
#include "manager/manager.hpp"

#include "device/hotplug.hpp"
#include "manager/guest_keys.hpp"
#include "manager/plan.hpp"
#include "manager/records.hpp"

#include <fmt/format.h>

#include "base/log.hpp"

namespace streak::manager {

namespace {

using Clock = std::chrono::steady_clock;

/// The store tells when a domain begins to die; that the last of its pages has come back nobody tells.
constexpr device::Milliseconds look_again{20};

/// Waits until the hypervisor has forgotten the domain: until no backend holds a page of it.
void wait_until_gone(const Environment& environment, device::Store::Watch& released, DomId id) {
    const auto end = Clock::now() + environment.patience;
    while (environment.hypervisor.info(id)) {
        const auto left = std::chrono::duration_cast<device::Milliseconds>(end - Clock::now());
        if (left <= device::Milliseconds(0) || !released.wait(std::min(left, look_again))) {
            base::log(base::LogLevel::warning, fmt::format("domain {} is dying: somebody in dom0 still holds pages of "
                                                           "it; see GET /v1/leftovers",
                                                           id.raw()));
            return;
        }
    }
}

} // namespace

base::Outcome<Locked> Manager::lock_running(const std::string& ref) {
    auto domain = registry_.lock(ref);
    if (!domain || (*domain)->running) return domain;
    return base::error(base::ErrorKind::conflict, fmt::format("the domain '{}' does not run", (*domain)->name), {}, {},
                       "Start it first");
}

base::Outcome<> Manager::start(const std::string& ref, bool paused) {
    TRY_ASSIGN(domain, registry_.lock(ref));
    if (domain->running) return {};
    return start_locked(*domain, domain->definition, paused);
}

base::Outcome<> Manager::start_locked(Domain& domain, const config::Definition& definition, bool paused) {
    TRY_ASSIGN(plan, preflight(definition, domain.uuid));
    const auto entry = journal_->begin({.kind = Task::Kind::start, .uuid = domain.uuid, .paused = paused});
    if (!entry) return std::unexpected(entry.error());
    TRY_ASSIGN(made, construct(environment_, std::move(plan)));
    const DomId id = made.id;
    const bool devices = !made.disks.empty() || !made.interfaces.empty();
    base::Outcome<> done = save_running(environment_.paths, domain, made);
    if (done) {
        // Known before it runs, so that its end finds somebody.
        registry_.set_running(domain, std::move(made));
        registry_.update([&] { domain.resting = false; });
        if (!paused) done = checked(environment_.hypervisor.unpause(id), "the hypervisor does not run it");
    }
    if (!done) {
        (void)tear_down(domain.uuid, id, devices);
        forget_running(environment_.paths, domain.uuid);
        registry_.set_running(domain, {});
        return done;
    }
    events_->add(domain.uuid, domain.name, "started", fmt::format("domain {}", id.raw()));
    return {};
}

base::Outcome<> Manager::set_paused(const std::string& ref, bool paused) {
    TRY_ASSIGN(domain, lock_running(ref));
    hv::Hypervisor& hypervisor = environment_.hypervisor;
    const DomId id = domain->running->id;
    TRY_ASSIGN(info, checked(hypervisor.info(id), "can't look at the domain"));
    if (info.paused == paused) return {};
    if (paused) TRY(checked(hypervisor.pause(id), "can't pause it"));
    else TRY(checked(hypervisor.unpause(id), "can't unpause it"));
    events_->add(domain->uuid, domain->name, paused ? "paused" : "unpaused");
    return {};
}

base::Outcome<> Manager::ask(const std::string& ref, Ask what, std::optional<std::chrono::seconds> wait) {
    TRY_ASSIGN(domain, what == Ask::poweroff ? registry_.lock(ref) : lock_running(ref));
    if (!domain->running) return {};
    const DomId id = domain->running->id;
    TRY_ASSIGN(info, checked(environment_.hypervisor.info(id), "can't look at the domain"));
    if (info.shut_down || info.paused)
        return base::error(base::ErrorKind::conflict, fmt::format("'{}' can't hear the request", domain->name),
                           "a running guest", info.shut_down ? "one that has ended" : "a paused one",
                           info.shut_down ? "Destroy it" : "Unpause it first, or destroy it");
    const device::Changes request{{store::Client::Change::Kind::write, domain_path(id) + "/control/shutdown",
                                   what == Ask::poweroff ? "poweroff" : "reboot"}};
    TRY(checked(environment_.store.apply(request), "the store does not take the request"));
    domain.operation.unlock();
    if (!wait) return {};
    return wait_for_end(domain.domain, id, what, *wait);
}

base::Outcome<> Manager::wait_for_end(const DomainPointer& domain, DomId id, Ask what, std::chrono::seconds limit) {
    {
        std::unique_lock lock(registry_.mutex);
        const bool ended = registry_.changed.wait_for(lock, limit, [&] {
            const bool same = domain->running && domain->running->id == id && !domain->running->preserved;
            // A reboot is over when the domain runs again, or will not.
            const bool between = what == Ask::reboot && domain->listed && !domain->running && !domain->resting;
            return stopping_ || (!same && !between);
        });
        if (ended && !stopping_) return {};
    }
    if (stopping_) return base::error(base::ErrorKind::unavailable, "streakd is stopping; the guest was asked");
    const auto node = environment_.store.find(domain_path(id) + "/control/shutdown");
    const bool taken = node && (!*node || (*node)->empty());
    return base::error(base::ErrorKind::timeout,
                       fmt::format("'{}' did not end within {} s", domain->name, limit.count()), {},
                       taken ? "the guest took the request and has not finished" : "the guest did not take the request",
                       taken ? "Wait longer, or destroy it" : "Its kernel may not listen; destroy it");
}

base::Outcome<> Manager::destroy(const std::string& ref) {
    auto domain = registry_.lock(ref);
    if (!domain && domain.error().kind == base::ErrorKind::not_found && base::Uuid::parse(ref)) return {};
    if (!domain) return std::unexpected(domain.error());
    if (!(*domain)->running) return {};
    TRY(destroy_locked(**domain, "destroyed"));
    events_->add((*domain)->uuid, (*domain)->name, "destroyed");
    return {};
}

base::Outcome<> Manager::destroy_locked(Domain& domain, const std::string& reason) {
    const Running& running = *domain.running;
    const auto entry = journal_->begin({.kind = Task::Kind::destroy, .uuid = domain.uuid, .domain = running.id.raw()});
    if (!entry) return std::unexpected(entry.error());
    TRY(tear_down(domain));
    stopped(domain, reason);
    return {};
}

base::Outcome<> Manager::tear_down(Domain& domain) {
    Running& running = *domain.running;
    registry_.update([&] { running.ending = true; });
    auto done = tear_down(domain.uuid, running.id, !running.disks.empty() || !running.interfaces.empty());
    // A failure leaves it to be tried again, by a request or by the next look for ends.
    if (!done) registry_.update([&] { running.ending = false; });
    return done;
}

base::Outcome<> Manager::tear_down(const base::Uuid& uuid, DomId id, bool has_devices) {
    std::unique_ptr<device::Store::Watch> released;
    if (has_devices) {
        TRY_ASSIGN(watch, checked(environment_.store.watch({"@releaseDomain"}), "the store does not watch"));
        released = std::move(watch);
    }
    if (const auto ended = environment_.hypervisor.destroy_domain(id); !ended && ended.error() != Errno::ESRCH)
        return base::hypercall_error("the hypervisor does not end it", ended.error());
    device::Changes removal;
    remove_guest(removal, id, uuid);
    device::Store& store = environment_.store;
    TRY(checked(has_devices ? device::withdraw(store, environment_.host, id, removal, environment_.patience)
                            : store.apply(removal),
                "the store does not remove the domain's keys"));
    if (released) wait_until_gone(environment_, *released, id);
    return {};
}

void Manager::stopped(Domain& domain, const std::string& reason) {
    forget_running(environment_.paths, domain.uuid);
    registry_.update([&] {
        domain.reason = reason;
        domain.resting = true;
    });
    registry_.set_running(domain, {});
    if (!domain.persistent) registry_.remove(domain);
    else if (const auto saved = save_properties(environment_.paths, domain, Durable::no); !saved)
        base::log(base::LogLevel::warning, saved.error().text());
}

void Manager::stop() {
    stopping_ = true;
    events_->stop();
    const std::lock_guard lock(registry_.mutex);
    registry_.changed.notify_all();
}

} // namespace streak::manager
