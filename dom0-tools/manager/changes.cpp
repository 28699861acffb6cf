// SPDX-License-Identifier: GPL-2.0-only
#include "manager/manager.hpp"

#include "manager/guest_keys.hpp"
#include "manager/records.hpp"

#include <fmt/format.h>

namespace streak::manager {

namespace {

/// No guest lives with less.
constexpr std::uint64_t least_memory_kib = 1024;

store::Client::Change one(DomId id, std::string_view key, std::string value) {
    return {store::Client::Change::Kind::write, fmt::format("{}/{}", domain_path(id), key), std::move(value)};
}

base::Outcome<> in_range(std::string_view what, std::uint64_t value, std::uint64_t least, std::uint64_t most,
                         std::string_view unit = {}) {
    if (value >= least && value <= most) return {};
    return base::error(base::ErrorKind::invalid, fmt::format("the {} can't be that", what),
                       fmt::format("{} to {}{}", least, most, unit), fmt::format("{}{}", value, unit));
}

} // namespace

base::Outcome<> Manager::changed(Domain& domain, std::string_view event, const std::string& detail) {
    if (!event.empty()) events_->add(domain.uuid, domain.name, event, detail);
    return save_running(environment_.paths, domain, *domain.running);
}

base::Outcome<> Manager::set_memory(const std::string& ref, std::uint64_t kib) {
    TRY_ASSIGN(domain, lock_running(ref));
    const std::uint64_t before = domain->running->definition.memory_kib;
    TRY(in_range("memory target", kib, least_memory_kib, domain->running->definition.max_memory_kib, " KiB"));
    // The limit lets the guest grow before it is told to, and keeps it from growing back afterwards.
    TRY(checked(environment_.hypervisor.set_max_memory(domain->running->id, kib),
                "the hypervisor does not change its limit"));
    const auto told = environment_.store.apply({one(domain->running->id, "memory/target", std::to_string(kib))});
    if (!told) {
        (void)environment_.hypervisor.set_max_memory(domain->running->id, before);
        return base::hypercall_error("the store does not take the target", told.error());
    }
    registry_.update([&] { domain->running->definition.memory_kib = kib; });
    return changed(*domain, "memory", fmt::format("{} KiB", kib));
}

base::Outcome<> Manager::set_vcpus(const std::string& ref, std::uint32_t count) {
    TRY_ASSIGN(domain, lock_running(ref));
    TRY(in_range("number of vCPUs", count, 1, domain->running->definition.max_vcpus));
    device::Changes changes;
    for (std::uint32_t vcpu = 0; vcpu < domain->running->definition.max_vcpus; ++vcpu)
        changes.push_back(
            one(domain->running->id, fmt::format("cpu/{}/availability", vcpu), vcpu < count ? "online" : "offline"));
    TRY(checked(environment_.store.apply(changes), "the store does not take the number"));
    registry_.update([&] { domain->running->definition.vcpus = count; });
    return changed(*domain, "vcpus", std::to_string(count));
}

base::Outcome<> Manager::pin(const std::string& ref, std::optional<std::uint32_t> vcpu, const config::CpuList& cpus) {
    TRY_ASSIGN(domain, lock_running(ref));
    TRY_ASSIGN(host, checked(environment_.hypervisor.host_info(), "can't ask the hypervisor about this host"));
    if (vcpu) TRY(in_range("vCPU", *vcpu, 0, domain->running->definition.max_vcpus - 1));
    if (cpus.empty()) return base::error(base::ErrorKind::invalid, "a vCPU can't run nowhere", "at least one CPU");
    hv::CpuSet set(host.cpus);
    for (const std::uint32_t cpu : cpus) {
        TRY(in_range("CPU", cpu, 0, host.cpus - 1));
        set[cpu] = true;
    }
    auto pins = domain->running->definition.pins;
    for (std::uint32_t v = vcpu.value_or(0); v < (vcpu ? *vcpu + 1 : domain->running->definition.max_vcpus); ++v) {
        TRY(checked(environment_.hypervisor.set_affinity(domain->running->id, v, set),
                    fmt::format("can't pin vCPU {}", v)));
        std::erase_if(pins, [&](const config::VcpuPin& pin) { return pin.vcpu == v; });
        pins.push_back({v, cpus});
    }
    registry_.update([&] { domain->running->definition.pins = std::move(pins); });
    return changed(*domain, {}, {});
}

base::Outcome<> Manager::set_share(const std::string& ref, std::optional<std::uint16_t> weight,
                                   std::optional<std::uint16_t> cap) {
    TRY_ASSIGN(domain, lock_running(ref));
    const config::Definition& now = domain->running->definition;
    const hv::Hypervisor::Share share{weight.value_or(now.weight), cap.value_or(now.cap_percent)};
    TRY(in_range("weight", share.weight, 1, 65535));
    TRY(in_range("cap", share.cap, 0, 100u * now.max_vcpus, " %"));
    TRY(checked(environment_.hypervisor.set_share(domain->running->id, share), "can't set its share of the CPUs"));
    registry_.update([&] {
        domain->running->definition.weight = share.weight;
        domain->running->definition.cap_percent = share.cap;
    });
    return changed(*domain, {}, {});
}

} // namespace streak::manager
