// SPDX-License-Identifier: GPL-2.0-only
#include "manager/manager.hpp"

#include "manager/guest_keys.hpp"
#include "manager/records.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/log.hpp"

// What a new streakd does about what an earlier one was doing (journal.hpp). Every step may be repeated: this streakd
// can be killed as well.

namespace streak::manager {

base::Outcome<std::unique_ptr<Manager>> Manager::open(Environment environment) {
    TRY(make_directory(environment.paths.definitions()));
    TRY(make_directory(environment.paths.domains()));
    TRY_ASSIGN(journal, Journal::open(environment.paths.journal()));
    TRY_ASSIGN(events, Events::open(environment.paths.events()));
    return std::unique_ptr<Manager>(new Manager(std::move(environment), std::move(journal), std::move(events)));
}

base::Outcome<> Manager::recover() {
    load();
    for (const Journal::Pending& pending : journal_->pending()) {
        recover_task(pending.task);
        journal_->end(pending.number);
    }
    for (const DomainPointer& domain : registry_.all())
        if (domain->running) adopt(domain);
    return {};
}

/// All records. Whether their domains live is looked at afterwards.
void Manager::load() {
    for (DomainPointer& domain : load_definitions(environment_.paths, environment_.parse))
        if (const auto added = registry_.add(domain); !added) base::log(base::LogLevel::error, added.error().text());
    for (DomainPointer& record : load_running(environment_.paths)) {
        record->resting = false;
        if (const DomainPointer domain = registry_.find(record->uuid)) {
            registry_.set_running(*domain, std::move(record->running));
            domain->quick_ends = record->quick_ends;
            domain->resting = false;
        } else if (const auto added = registry_.add(record); !added) {
            base::log(base::LogLevel::error, added.error().text());
        }
    }
}

void Manager::recover_task(const Task& task) {
    base::log(base::LogLevel::notice, fmt::format("an earlier streakd was at work on {}: it is {}", task.uuid.text(),
                                                  task.kind == Task::Kind::destroy ? "ended" : "ended or undone"));
    const DomainPointer domain = registry_.find(task.uuid);
    switch (task.kind) {
    case Task::Kind::start: return recover_start(domain, task);
    case Task::Kind::restart:
        // Set aside under another UUID, and not on record yet: it goes.
        if (const auto aside = base::Uuid::parse(task.text); aside && !registry_.find(*aside)) clear_away(*aside, 0);
        if (domain) return recover_restart(domain);
        return clear_away(task.uuid, task.domain);
    case Task::Kind::destroy:
        clear_away(task.uuid, task.domain);
        if (domain && domain->running) stopped(*domain, "destroyed");
        return;
    case Task::Kind::rename:
        if (!domain) return;
        if (const auto renamed = rename_locked(*domain, task.text); !renamed)
            base::log(base::LogLevel::error, renamed.error().text());
        return;
    case Task::Kind::attach:
    case Task::Kind::detach:
        if (domain && domain->running && domain->running->id.raw() == task.domain) recover_device(*domain, task);
        return;
    }
}

/// Once its record is written, a domain is complete; before, it is undone.
void Manager::recover_start(const DomainPointer& domain, const Task& task) {
    if (domain && domain->running && is_alive(*domain)) {
        const auto info = environment_.hypervisor.info(domain->running->id);
        if (!task.paused && info && info->paused) (void)environment_.hypervisor.unpause(domain->running->id);
        return;
    }
    clear_away(task.uuid, domain && domain->running ? domain->running->id.raw() : 0);
    if (domain && domain->running) stopped(*domain, "destroyed");
}

void Manager::recover_restart(const DomainPointer& domain) {
    if (!domain->running) return;
    const config::Definition definition = live_definition(*domain->running);
    // It may have been started already, under a record of its own.
    const auto info = environment_.hypervisor.info(domain->running->id);
    if (is_alive(*domain) && info && !info->shut_down) return;
    clear_away(domain->uuid, domain->running->id.raw());
    registry_.set_running(*domain, {});
    const std::lock_guard operation(domain->operation);
    if (const auto started = start_locked(*domain, definition, false); !started) {
        base::log(base::LogLevel::error,
                  fmt::format("'{}' can't be started again: {}", domain->name, started.error().text()));
        stopped(*domain, "reboot");
    }
}

/// A device whose attaching or detaching was interrupted is detached: its guest sees it go.
void Manager::recover_device(Domain& domain, const Task& task) {
    const bool disk = task.text.starts_with("vbd ");
    std::uint32_t number = 0;
    (void)std::from_chars(task.text.data() + 4, task.text.data() + task.text.size(), number);
    Running& running = *domain.running;
    device::Changes removal;
    device::remove_device(removal, {running.id, disk ? device::Kind::disk : device::Kind::interface, number});
    (void)environment_.store.apply(removal);
    std::erase_if(running.disks, [&](const Disk& d) { return disk && d.number == number; });
    std::erase_if(running.interfaces, [&](const Interface& i) { return !disk && i.handle == number; });
    (void)save_running(environment_.paths, domain, running);
}

/// The domain of the record still has the record's UUID.
bool Manager::is_alive(const Domain& domain) {
    const auto info = environment_.hypervisor.info(domain.running->id);
    return info && !info->dying && info->handle == domain.uuid;
}

/// Ends every domain with this UUID and removes its keys; `id` is one it had (0: not known).
void Manager::clear_away(const base::Uuid& uuid, std::uint16_t id) {
    const auto living = environment_.hypervisor.list();
    bool taken = false;
    for (const hv::DomainInfo& info : living.value_or(std::vector<hv::DomainInfo>{})) {
        if (info.handle == uuid && info.id != dom0_id) (void)tear_down(uuid, info.id, true);
        else taken |= info.id.raw() == id;
    }
    if (id == 0 || taken) return;
    device::Changes removal;
    remove_guest(removal, DomId(id), uuid);
    (void)environment_.store.apply(removal);
}

/// A domain that ran when the earlier streakd ended. How it ended meanwhile, find_ends() finds out.
void Manager::adopt(const DomainPointer& domain) {
    if (!is_alive(*domain)) {
        clear_away(domain->uuid, domain->running->id.raw());
        events_->add(domain->uuid, domain->name, "destroyed", "while streakd was away");
        return stopped(*domain, "destroyed");
    }
    for (Disk& disk : domain->running->disks)
        if (const auto file = environment_.host.check_disk(disk.definition))
            if (auto claim = claims_.claim(disk.definition, *file, domain->name)) disk.claim = std::move(*claim);
}

void Manager::autostart() {
    if (std::filesystem::exists(environment_.paths.autostarted())) return;
    if (const auto marked = replace_file(environment_.paths.autostarted(), ""); !marked)
        base::log(base::LogLevel::warning, marked.error().text());
    for (const DomainPointer& domain : registry_.all()) {
        if (!domain->autostart) continue;
        if (const auto started = start(domain->uuid.text(), false); !started)
            base::log(base::LogLevel::error,
                      fmt::format("'{}' does not start with the machine: {}", domain->name, started.error().text()));
    }
}

} // namespace streak::manager
