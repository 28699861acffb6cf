// SPDX-License-Identifier: GPL-2.0-only
#include "manager/manager.hpp"

#include "device/hotplug.hpp"
#include "manager/guest_keys.hpp"
#include "manager/plan.hpp"
#include "manager/undo.hpp"

#include <ctime>

#include <fmt/format.h>

namespace streak::manager {

namespace {

hv::CpuSet set_of(const config::CpuList& cpus) {
    hv::CpuSet set;
    for (const std::uint32_t cpu : cpus) {
        if (cpu >= set.size()) set.resize(cpu + 1);
        set[cpu] = true;
    }
    return set;
}

/// Seconds by which a guest's clock is ahead of UTC.
std::int32_t clock_offset(const config::Definition& definition) {
    if (definition.clock == config::Definition::Clock::utc) return definition.clock_offset_seconds;
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::localtime_r(&now, &parts);
    return definition.clock_offset_seconds + static_cast<std::int32_t>(parts.tm_gmtoff);
}

/// One start, step by step; each step says how it is taken back.
class Construction {
public:
    Construction(const Environment& environment, Plan plan) : environment_(environment), plan_(std::move(plan)) {}

    base::Outcome<Running> run() {
        TRY(make_domain());
        TRY(set_processors());
        TRY(set_times());
        TRY(give_memory());
        TRY(open_disks());
        TRY(tell_store());
        TRY(connect_interfaces());
        undo_.commit();
        return std::move(running_);
    }

private:
    hv::Hypervisor& hypervisor() { return environment_.hypervisor; }
    const config::Definition& definition() { return plan_.definition; }

    base::Outcome<> make_domain() {
        hv::NewDomain parameters{.handle = plan_.uuid, .max_vcpus = definition().max_vcpus};
        if (definition().max_event_channels) parameters.max_event_ports = definition().max_event_channels;
        parameters.max_grant_frames = definition().max_grant_frames;
        TRY_ASSIGN(id, checked(hypervisor().create_domain(parameters), "the hypervisor makes no domain"));
        running_.id = id;
        undo_.add([this] { (void)hypervisor().destroy_domain(running_.id); });
        TRY(checked(hypervisor().set_max_vcpus(id, definition().max_vcpus),
                    fmt::format("can't give it {} vCPUs", definition().max_vcpus)));
        return checked(hypervisor().set_max_memory(id, definition().memory_kib), "can't limit its memory");
    }

    base::Outcome<> set_processors() {
        for (std::uint32_t vcpu = 0; vcpu < definition().max_vcpus; ++vcpu) {
            const config::CpuList* cpus = &definition().cpus;
            for (const config::VcpuPin& pin : definition().pins)
                if (pin.vcpu == vcpu) cpus = &pin.cpus;
            if (cpus->empty()) continue;
            TRY(checked(hypervisor().set_affinity(running_.id, vcpu, set_of(*cpus)),
                        fmt::format("can't pin vCPU {}", vcpu)));
        }
        const hv::Hypervisor::Share share{definition().weight, definition().cap_percent}, usual;
        if (share.weight == usual.weight && share.cap == usual.cap) return {};
        return checked(hypervisor().set_share(running_.id, share), "can't set its share of the CPUs");
    }

    base::Outcome<> set_times() {
        if (definition().tsc_mode)
            TRY(checked(hypervisor().set_tsc_mode(running_.id, definition().tsc_mode), "can't set its TSC mode"));
        const std::int32_t offset = clock_offset(definition());
        if (offset == 0) return {};
        return checked(hypervisor().set_time_offset(running_.id, offset), "can't set its clock");
    }

    /// The claim keeps others from the memory while it is populated; what is left of it is given up.
    base::Outcome<> give_memory() {
        const std::uint64_t pages = definition().memory_kib * 1024 / page_size;
        TRY(checked(hypervisor().claim_pages(running_.id, pages),
                    fmt::format("can't have {} KiB of memory for it", definition().memory_kib)));
        TRY_ASSIGN(store, checked(hypervisor().allocate_port(running_.id, dom0_id), "can't allocate its ports"));
        TRY_ASSIGN(console, checked(hypervisor().allocate_port(running_.id, dom0_id), "can't allocate its ports"));
        ports_ = {store, console};
        builder::Request request = plan_.request();
        request.domain = running_.id;
        request.store_port = store;
        request.console_port = console;
        TRY_ASSIGN(built, environment_.builder.build(hypervisor(), request));
        built_ = built;
        return checked(hypervisor().claim_pages(running_.id, 0), "can't end the claim on memory");
    }

    base::Outcome<> open_disks() {
        running_.disks = std::move(plan_.disks);
        running_.interfaces = std::move(plan_.interfaces);
        for (Disk& disk : running_.disks) {
            TRY_ASSIGN(open, environment_.host.open_disk(disk.definition, plan_.uuid.text()));
            device::add_disk(devices_, running_.at(disk), disk.definition, open.number);
            disk.hold = std::move(open.hold);
        }
        for (const Interface& nic : running_.interfaces)
            device::add_interface(devices_, running_.at(nic), nic.definition);
        return {};
    }

    base::Outcome<> tell_store() {
        undo_.add([this] {
            device::Changes removal;
            remove_guest(removal, running_.id, plan_.uuid);
            (void)device::withdraw(environment_.store, environment_.host, running_.id, removal, environment_.patience);
        });
        device::Changes changes;
        add_guest(changes, running_.id, plan_.uuid, definition(), built_, ports_);
        changes.insert(changes.end(), std::make_move_iterator(devices_.begin()),
                       std::make_move_iterator(devices_.end()));
        TRY(checked(environment_.store.apply(changes), "the store does not take the domain's keys"));
        return checked(environment_.store.introduce(running_.id, built_.store_frame.raw(), ports_.store),
                       "the store does not serve the domain");
    }

    base::Outcome<> connect_interfaces() {
        device::Changes changes;
        for (const Interface& nic : running_.interfaces) {
            TRY(connect_interface(environment_, running_.at(nic), nic.definition));
            device::add_interface_ready(changes, running_.at(nic));
        }
        running_.definition = std::move(plan_.definition);
        running_.started_s = environment_.uptime_s();
        if (changes.empty()) return {};
        return checked(environment_.store.apply(changes), "the store does not take the interfaces' state");
    }

    const Environment& environment_;
    Plan plan_;
    Running running_;
    GuestPorts ports_;
    builder::Built built_;
    device::Changes devices_;
    Undo undo_; // ends first: its steps use all the others
};

} // namespace

base::Outcome<Running> construct(const Environment& environment, Plan plan) {
    return Construction(environment, std::move(plan)).run();
}

base::Outcome<> connect_interface(const Environment& environment, const device::Address& at,
                                  const config::Interface& interface) {
    const device::VifSetup setup{at.vif(), interface.vifname, device::bridge_of(interface), interface.link_up};
    return environment.host.connect_vif(setup, environment.patience);
}

} // namespace streak::manager
