// SPDX-License-Identifier: GPL-2.0-only
#include "manager/reports.hpp"

#include "device/hotplug.hpp"
#include "manager/guest_keys.hpp"
#include "manager/json.hpp"

#include <ranges>
#include <unordered_map>

#include <xen/sched.h>

namespace streak::manager {

namespace {

using ById = std::unordered_map<std::uint16_t, const hv::DomainInfo*>;

std::uint64_t kib(std::uint64_t pages) { return pages * (page_size / 1024); }

ById by_id(const std::vector<hv::DomainInfo>& living) {
    ById map;
    for (const hv::DomainInfo& info : living) map[info.id.raw()] = &info;
    return map;
}

const hv::DomainInfo* info_of(const ById& living, const Domain& domain) {
    if (!domain.running) return nullptr;
    const auto found = living.find(domain.running->id.raw());
    return found != living.end() && found->second->handle == domain.uuid ? found->second : nullptr;
}

std::string_view state_of(const hv::DomainInfo* info) {
    if (info == nullptr) return "shut-off";
    if (info->dying) return "dying";
    const bool crashed = info->shutdown_reason == SHUTDOWN_crash || info->shutdown_reason == SHUTDOWN_watchdog;
    if (info->shut_down && info->shutdown_reason == SHUTDOWN_suspend) return "suspended";
    if (info->shut_down) return crashed ? "crashed" : "shutting-down";
    if (info->paused) return "paused";
    return info->blocked ? "blocked" : "running";
}

/// The members of a summary; the registry is locked.
void add_summary(Object& object, const Domain& domain, const hv::DomainInfo* info, std::int64_t now_s) {
    const config::Definition& definition = domain.running ? domain.running->definition : domain.definition;
    object.add("uuid", domain.uuid.text()).add("name", domain.name);
    if (info) object.add("id", domain.running->id.raw());
    else object.raw("id", "null");
    object.add("state", state_of(info)).add("reason", domain.reason);
    object.add("autostart", domain.autostart).add("persistent", domain.persistent);
    object.add("memory_kib", info ? kib(info->pages) : definition.memory_kib);
    object.add("max_memory_kib", definition.max_memory_kib);
    object.add("vcpus", info ? info->online_vcpus : definition.vcpus).add("max_vcpus", definition.max_vcpus);
    object.add("cpu_time_ns", info ? info->cpu_time_ns : 0)
        .add("uptime_s", info ? now_s - domain.running->started_s : 0);
}

std::string number_list(const hv::CpuSet& set) {
    std::vector<std::string> cpus;
    for (std::size_t cpu = 0; cpu < set.size(); ++cpu)
        if (set[cpu]) cpus.push_back(std::to_string(cpu));
    return array_of(cpus);
}

std::string vcpus_json(hv::Hypervisor& hypervisor, DomId id, std::uint32_t count) {
    const std::uint32_t cpus = hypervisor.host_info().value_or(hv::HostInfo{}).cpus;
    return list_of(std::views::iota(0u, count), [&](Object& object, std::uint32_t vcpu) {
        const auto info = hypervisor.vcpu_info(id, vcpu).value_or(hv::VcpuInfo{});
        object.add("vcpu", vcpu).add("cpu", info.cpu);
        object.add("state", !info.online   ? "offline"
                            : info.running ? "running"
                            : info.blocked ? "blocked"
                                           : "runnable");
        object.add("cpu_time_ns", info.cpu_time_ns);
        object.raw("affinity", number_list(hypervisor.affinity(id, vcpu, cpus).value_or(hv::CpuSet{})));
    });
}

/// What a report needs of a domain, so that nothing slow is done with the registry locked.
struct Snapshot {
    std::optional<DomId> id;
    config::Definition definition; ///< without devices when it runs
    std::vector<std::pair<config::Disk, std::uint32_t>> disks;
    std::vector<Interface> interfaces;
};

Snapshot snapshot(const Domain& domain) {
    Snapshot taken{{}, domain.running ? domain.running->definition : domain.definition, {}, {}};
    if (domain.running) {
        taken.id = domain.running->id;
        for (const Disk& disk : domain.running->disks) taken.disks.emplace_back(disk.definition, disk.number);
        taken.interfaces = domain.running->interfaces;
        return taken;
    }
    for (const config::Disk& disk : domain.definition.disks) taken.disks.emplace_back(disk, 0);
    for (const config::Interface& interface : domain.definition.interfaces) taken.interfaces.push_back({interface});
    return taken;
}

std::string backend_state(Manager& manager, const std::optional<DomId>& id, device::Kind kind, std::uint32_t number) {
    if (!id) return "unknown";
    const auto state = manager.environment().store.find(device::Address{*id, kind, number}.backend() + "/state");
    return std::string(name_of(device::parse_state(state.value_or(std::nullopt))));
}

std::string disks_json(Manager& manager, const Snapshot& domain) {
    return list_of(domain.disks, [&](Object& object, const auto& item) {
        const auto& [disk, number] = item;
        object.add("target", disk.target).add("path", disk.path).add("read_only", disk.read_only || disk.cdrom);
        object.add("state", backend_state(manager, domain.id, device::Kind::disk, number));
    });
}

std::string vif_name(const Interface& nic, DomId id) {
    const device::Address at{id, device::Kind::interface, nic.handle};
    return nic.definition.vifname.empty() ? at.vif() : nic.definition.vifname;
}

std::string interfaces_json(Manager& manager, const Snapshot& domain) {
    return list_of(domain.interfaces, [&](Object& object, const Interface& nic) {
        object.add("mac", config::to_text(nic.definition.mac)).add("bridge", device::bridge_of(nic.definition));
        object.add("vif", domain.id ? vif_name(nic, *domain.id) : "");
        object.add("state", backend_state(manager, domain.id, device::Kind::interface, nic.handle));
    });
}

std::string console_json(Manager& manager, const Domain& domain, const std::optional<DomId>& id) {
    Result<std::optional<std::string>> tty;
    if (id) tty = manager.environment().store.find(domain_path(*id) + "/console/tty");
    Object object;
    object.add("tty", tty.value_or(std::nullopt).value_or(""))
        .add("log", manager.environment().paths.console_log(domain.uuid).string());
    return std::move(object).text();
}

} // namespace

base::Outcome<std::string> host_report(Manager& manager) {
    hv::Hypervisor& hypervisor = manager.environment().hypervisor;
    TRY_ASSIGN(host, checked(hypervisor.host_info(), "can't ask the hypervisor about this host"));
    TRY_ASSIGN(version, checked(hypervisor.version(), "can't ask for the hypervisor's version"));
    Object object = answer("streak.host/1");
    object.add("version", version).add("build_id", hypervisor.build_id().value_or(""));
    object.add("cpus", host.cpus).add("cpu_khz", host.cpu_khz).add("memory_kib", kib(host.total_pages));
    object.add("free_memory_kib", kib(host.free_pages));
    return std::move(object).text();
}

base::Outcome<std::string> domains_report(Manager& manager) {
    TRY_ASSIGN(living, checked(manager.environment().hypervisor.list(), "can't list the domains"));
    const ById infos = by_id(living);
    const std::int64_t now = manager.environment().uptime_s();
    std::vector<std::string> domains;
    manager.registry().each([&](const Domain& domain) {
        Object object;
        add_summary(object, domain, info_of(infos, domain), now);
        domains.push_back(std::move(object).text());
    });
    return std::move(answer("streak.domains/1").raw("domains", array_of(domains))).text();
}

base::Outcome<std::string> domain_report(Manager& manager, const DomainPointer& domain) {
    hv::Hypervisor& hypervisor = manager.environment().hypervisor;
    Object object = answer("streak.domain/1");
    Snapshot now;
    {
        const std::lock_guard lock(manager.registry().mutex);
        std::optional<hv::DomainInfo> info;
        if (domain->running)
            if (const auto found = hypervisor.info(domain->running->id); found && found->handle == domain->uuid)
                info = *found;
        add_summary(object, *domain, info ? &*info : nullptr, manager.environment().uptime_s());
        now = snapshot(*domain);
    }
    const config::Definition& definition = now.definition;
    object.raw("vcpus_list", now.id ? vcpus_json(hypervisor, *now.id, definition.max_vcpus) : "[]");
    object.raw("disks", disks_json(manager, now)).raw("interfaces", interfaces_json(manager, now));
    object.raw("console", console_json(manager, *domain, now.id));
    object.add("kernel", definition.kernel).add("initrd", definition.initrd);
    object.add("command_line", definition.command_line).add("on_poweroff", name_of(definition.on_poweroff));
    object.add("on_reboot", name_of(definition.on_reboot)).add("on_crash", name_of(definition.on_crash));
    object.add("weight", definition.weight).add("cap", definition.cap_percent);
    return std::move(object).text();
}

base::Outcome<std::string> stats_report(Manager& manager) {
    const Environment& environment = manager.environment();
    TRY_ASSIGN(living, checked(environment.hypervisor.list(), "can't list the domains"));
    TRY_ASSIGN(host, checked(environment.hypervisor.host_info(), "can't ask the hypervisor about this host"));
    const ById infos = by_id(living);
    std::vector<std::string> domains;
    for (const DomainPointer& domain : manager.registry().all()) {
        std::unique_lock lock(manager.registry().mutex);
        const hv::DomainInfo* info = info_of(infos, *domain);
        if (!info) continue;
        const Snapshot now = snapshot(*domain);
        const std::string name = domain->name;
        lock.unlock();
        device::DiskCounters disks;
        for (const auto& [disk, number] : now.disks) {
            const auto one = environment.host.disk_counters({*now.id, device::Kind::disk, number});
            disks.bytes_read += one.bytes_read;
            disks.bytes_written += one.bytes_written;
        }
        device::InterfaceCounters interfaces;
        for (const Interface& nic : now.interfaces) {
            const auto one = environment.host.interface_counters(vif_name(nic, *now.id));
            interfaces.received_bytes += one.received_bytes;
            interfaces.sent_bytes += one.sent_bytes;
        }
        Object object;
        object.add("uuid", domain->uuid.text()).add("name", name).add("id", now.id->raw());
        object.add("cpu_time_ns", info->cpu_time_ns)
            .add("memory_kib", kib(info->pages))
            .add("vcpus", info->online_vcpus);
        object.add("read_bytes", disks.bytes_read).add("written_bytes", disks.bytes_written);
        object.add("received_bytes", interfaces.received_bytes).add("sent_bytes", interfaces.sent_bytes);
        domains.push_back(std::move(object).text());
    }
    Object totals;
    totals.add("cpus", host.cpus).add("memory_kib", kib(host.total_pages)).add("free_memory_kib", kib(host.free_pages));
    Object object = answer("streak.stats/1");
    object.add("time_ns", std::chrono::steady_clock::now().time_since_epoch().count());
    object.raw("domains", array_of(domains)).raw("host", std::move(totals).text());
    return std::move(object).text();
}

} // namespace streak::manager
