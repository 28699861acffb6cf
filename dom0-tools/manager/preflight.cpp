// SPDX-License-Identifier: GPL-2.0-only
#include "manager/manager.hpp"

#include "manager/plan.hpp"

#include <fmt/format.h>

namespace streak::manager {

namespace {

/// What the hypervisor needs beyond a guest's own pages: its structures, tables and grant frames.
constexpr std::uint64_t domain_overhead_kib = 128, vcpu_overhead_kib = 16;

std::uint64_t kib_of_pages(std::uint64_t pages) { return pages * (page_size / 1024); }

base::Outcome<> check_cpus(const config::Definition& definition, std::uint32_t host_cpus) {
    const auto check = [&](const config::CpuList& cpus) -> base::Outcome<> {
        for (const std::uint32_t cpu : cpus)
            if (cpu >= host_cpus)
                return base::error(base::ErrorKind::invalid, fmt::format("this host has no CPU {}", cpu),
                                   fmt::format("CPUs 0 to {}", host_cpus - 1));
        return {};
    };
    TRY(check(definition.cpus));
    for (const config::VcpuPin& pin : definition.pins) TRY(check(pin.cpus));
    return {};
}

} // namespace

base::Outcome<Plan> Manager::preflight(const config::Definition& definition, const base::Uuid& uuid) {
    if (!definition.seclabel.empty())
        return base::error(base::ErrorKind::refused, "a security label can't be given", "no <seclabel>",
                           definition.seclabel, "Streak runs its built-in policy, which has no labels");
    TRY_ASSIGN(kernel, environment_.builder.load(definition.kernel));
    Plan plan{definition, uuid, std::move(kernel), {}};
    if (!definition.initrd.empty()) {
        TRY_ASSIGN(initrd, read_file(definition.initrd));
        plan.initrd = std::move(initrd);
    }
    TRY(environment_.builder.check(plan.request()));
    TRY(check_host(definition));
    TRY(check_network(definition.interfaces));
    TRY(claim_devices(plan));
    plan.definition.disks.clear();
    plan.definition.interfaces.clear();
    return plan;
}

base::Outcome<> Manager::check_host(const config::Definition& definition) {
    TRY_ASSIGN(host, checked(environment_.hypervisor.host_info(), "can't ask the hypervisor about this host"));
    const std::uint64_t need = definition.memory_kib + domain_overhead_kib + definition.max_vcpus * vcpu_overhead_kib;
    const std::uint64_t free = kib_of_pages(host.free_pages - std::min(host.outstanding_pages, host.free_pages));
    if (need > free)
        return base::error(base::ErrorKind::resources,
                           fmt::format("there is too little memory for '{}'", definition.name),
                           fmt::format("{} KiB", need), fmt::format("{} KiB free", free),
                           "Give it less, shrink or end another guest, or shrink dom0");
    return check_cpus(definition, host.cpus);
}

base::Outcome<> Manager::check_network(const std::vector<config::Interface>& interfaces) {
    if (!interfaces.empty()) TRY(environment_.host.check_backend(device::Kind::interface));
    for (const config::Interface& interface : interfaces)
        if (const std::string bridge = device::bridge_of(interface); !bridge.empty())
            TRY(environment_.host.check_bridge(bridge));
    return {};
}

base::Outcome<> Manager::claim_devices(Plan& plan) {
    if (!plan.definition.disks.empty()) TRY(environment_.host.check_backend(device::Kind::disk));
    for (const config::Disk& disk : plan.definition.disks) {
        TRY_ASSIGN(number, device::disk_number(disk.target));
        plan.disks.push_back({disk, number});
        if (disk.path.empty()) continue;
        TRY_ASSIGN(file, environment_.host.check_disk(disk));
        TRY_ASSIGN(claim, claims_.claim(disk, file, plan.definition.name));
        plan.disks.back().claim = std::move(claim);
    }
    // A drive without a medium has no backend: xen-blkback can't be without one.
    std::erase_if(plan.disks, [](const Disk& disk) { return disk.definition.path.empty(); });
    for (const config::Interface& interface : plan.definition.interfaces)
        plan.interfaces.push_back({interface, static_cast<std::uint32_t>(plan.interfaces.size())});
    return {};
}

} // namespace streak::manager
