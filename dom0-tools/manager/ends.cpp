// SPDX-License-Identifier: GPL-2.0-only
#include "manager/manager.hpp"

#include "manager/guest_keys.hpp"
#include "manager/records.hpp"

#include <unordered_map>

#include <fmt/format.h>
#include <xen/sched.h>

#include "base/log.hpp"

namespace streak::manager {

namespace {

/// A guest that ends this soon after its start, this often in a row, is not started again.
constexpr std::int64_t quick_s = 10;
constexpr unsigned most_quick_ends = 5;

/// What a guest's way to end means.
struct Meaning {
    const char* event;
    const char* reason;
    config::Action action;
};

Meaning meaning_of(unsigned shutdown_reason, const config::Definition& definition) {
    switch (shutdown_reason) {
    case SHUTDOWN_poweroff: return {"shutdown", "poweroff", definition.on_poweroff};
    case SHUTDOWN_reboot: return {"rebooted", "reboot", definition.on_reboot};
    case SHUTDOWN_watchdog: return {"crashed", "watchdog", definition.on_crash};
    default: return {"crashed", "crash", definition.on_crash};
    }
}

} // namespace

std::vector<Manager::End> Manager::find_ends() {
    const auto living = environment_.hypervisor.list();
    if (!living) return {};
    std::unordered_map<std::uint16_t, const hv::DomainInfo*> by_id;
    for (const hv::DomainInfo& info : *living) by_id[info.id.raw()] = &info;
    std::vector<End> ends;
    for (const DomainPointer& domain : registry_.all()) {
        const std::lock_guard lock(registry_.mutex);
        if (!domain->running || domain->running->preserved || domain->running->ending) continue;
        const auto info = by_id.find(domain->running->id.raw());
        if (info == by_id.end() || info->second->dying || info->second->shut_down)
            ends.push_back({domain, domain->running->id});
    }
    return ends;
}

void Manager::handle_end(const End& end) {
    Domain& domain = *end.domain;
    const std::lock_guard operation(domain.operation);
    if (!domain.listed || !domain.running || domain.running->id != end.id || domain.running->preserved) return;
    const auto info = environment_.hypervisor.info(end.id);
    base::Outcome<> done;
    if ((!info && info.error() == Errno::ESRCH) || (info && info->dying)) {
        events_->add(domain.uuid, domain.name, "destroyed", "by another tool");
        done = destroy_locked(domain, "destroyed");
    } else if (info && info->shut_down && info->shutdown_reason != SHUTDOWN_suspend) {
        const Meaning meaning = meaning_of(info->shutdown_reason, domain.running->definition);
        events_->add(domain.uuid, domain.name, meaning.event, meaning.reason);
        done = act(domain, meaning.action, meaning.reason);
    }
    if (!done) base::log(base::LogLevel::error, fmt::format("'{}' ended: {}", domain.name, done.error().text()));
}

base::Outcome<> Manager::act(Domain& domain, config::Action action, const std::string& reason) {
    const bool again = action == config::Action::restart || action == config::Action::rename_restart;
    if (again) {
        const bool quick = environment_.uptime_s() - domain.running->started_s < quick_s;
        registry_.update([&] { domain.quick_ends = quick ? domain.quick_ends + 1 : 0; });
        if (domain.quick_ends >= most_quick_ends) {
            const std::string detail = fmt::format("it ended {} times in a row within {} s of its start; it is not "
                                                   "started again",
                                                   domain.quick_ends, quick_s);
            base::log(base::LogLevel::error, fmt::format("'{}': {}", domain.name, detail));
            events_->add(domain.uuid, domain.name, "destroyed", detail);
            return destroy_locked(domain, reason);
        }
    }
    switch (action) {
    case config::Action::destroy: return destroy_locked(domain, reason);
    case config::Action::restart: return restart(domain, reason);
    case config::Action::rename_restart: return set_aside(domain, reason);
    case config::Action::preserve: return preserve(domain, reason);
    }
    return {};
}

base::Outcome<> Manager::restart(Domain& domain, const std::string& reason) {
    const config::Definition definition = live_definition(*domain.running);
    const std::uint16_t id = domain.running->id.raw();
    const auto entry = journal_->begin({.kind = Task::Kind::restart, .uuid = domain.uuid, .domain = id});
    if (!entry) return std::unexpected(entry.error());
    TRY(tear_down(domain));
    // Its record stays: a streakd that finds the journal's entry starts it from there.
    registry_.update([&] { domain.reason = reason; });
    registry_.set_running(domain, {});
    const auto started = start_locked(domain, definition, false);
    if (started) return {};
    events_->add(domain.uuid, domain.name, "destroyed", "it can't be started again: " + started.error().text());
    stopped(domain, reason);
    return started;
}

base::Outcome<> Manager::preserve(Domain& domain, const std::string& reason) {
    registry_.update([&] {
        domain.reason = reason;
        domain.running->preserved = true;
        registry_.changed.notify_all();
    });
    return save_running(environment_.paths, domain, *domain.running);
}

/// The dead domain stays under another name and UUID, without devices; the living one takes its place.
base::Outcome<> Manager::set_aside(Domain& domain, const std::string& reason) {
    const config::Definition definition = live_definition(*domain.running);
    const DomId id = domain.running->id;
    auto dead = std::make_shared<Domain>(base::Uuid::random());
    const auto entry = journal_->begin({Task::Kind::restart, domain.uuid, id.raw(), false, dead->uuid.text()});
    if (!entry) return std::unexpected(entry.error());
    dead->name = fmt::format("{}-{}", domain.name, id.raw());
    dead->reason = reason;
    dead->definition = domain.running->definition;
    dead->definition.name = dead->name;
    dead->definition.uuid = dead->uuid;
    dead->xml = config::to_xml(dead->definition);
    dead->running = Running{id, domain.running->started_s, dead->definition};
    dead->running->preserved = true;
    TRY(checked(environment_.hypervisor.set_handle(id, dead->uuid), "can't give the dead domain another UUID"));
    device::Changes changes;
    device::remove_backends(changes, id);
    changes.push_back({store::Client::Change::Kind::remove, "/vm/" + domain.uuid.text()});
    add_name(changes, id, dead->uuid, dead->name);
    changes.push_back({store::Client::Change::Kind::write, domain_path(id) + "/vm", "/vm/" + dead->uuid.text()});
    TRY(checked(environment_.store.apply(changes), "the store does not rename the dead domain"));
    TRY(save_running(environment_.paths, *dead, *dead->running));
    registry_.set_running(domain, {});
    TRY(registry_.add(dead));
    const auto started = start_locked(domain, definition, false);
    if (!started) stopped(domain, reason);
    return started;
}

} // namespace streak::manager
