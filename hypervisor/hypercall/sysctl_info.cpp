// SPDX-License-Identifier: GPL-2.0-only

#include "arch/clock.hpp"
#include "domain/scheduler.hpp"
#include "hypercall/cpu_policy.hpp"
#include "hypercall/sysctl.hpp"

namespace streak::hypercall {

Result<> machine_info(xen_sysctl_physinfo& op) {
    const mm::MemoryTotals memory = mm::memory_totals();
    op = {};
    op.threads_per_core = op.cores_per_socket = 1; // topology is not read: every CPU counts as a package
    op.nr_cpus = arch::online_cpu_count();
    op.max_cpu_id = arch::online_cpu_count() - 1;
    op.nr_nodes = 1;
    op.cpu_khz = static_cast<u32>(clock::tsc_khz());
    op.capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2;
    op.total_pages = memory.total_frames;
    op.free_pages = memory.free_frames;
    op.outstanding_pages = memory.claimed_frames;
    op.max_mfn = mm::frame_table_frames - 1;
    constexpr u32 words = std::size(decltype(op.hw_cap){});
    for (u32 i = 0; i < words; ++i) op.hw_cap[i] = host_features(i);
    return {};
}

Result<> idle_times(xen_sysctl_getcpuinfo& op) {
    const GuestHandle<xen_sysctl_cpuinfo_t> to(reinterpret_cast<u64>(op.info.p));
    const u32 n = std::min(op.max_cpus, arch::online_cpu_count());
    for (u32 i = 0; i < n; ++i) {
        const u64 idle = scheduler::runstate_now(*arch::percpu(CpuId(i)).idle)
                             .total[static_cast<unsigned>(sched::RunState::running)];
        TRY(to.write({.idletime = idle}, i));
    }
    op.nr_cpus = n;
    return {};
}

/// Free memory is not told apart by address width. EINVAL: a node that isn't there.
Result<> free_memory(xen_sysctl_availheap& op) {
    if (op.node > 0) return fail(Errno::EINVAL);
    op.avail_bytes = mm::memory_totals().free_frames * page_size;
    return {};
}

Result<> cpu_topology(xen_sysctl_cputopoinfo& op) {
    const GuestHandle<xen_sysctl_cputopo_t> to(reinterpret_cast<u64>(op.cputopo.p));
    const u32 cpus = arch::online_cpu_count();
    const u32 n = to.is_null() ? 0 : std::min(op.num_cpus, cpus);
    for (u32 i = 0; i < n; ++i) TRY(to.write({.core = 0, .socket = i, .node = 0}, i));
    op.num_cpus = to.is_null() ? cpus : n;
    return {};
}

/// One node with all memory.
Result<> numa_info(xen_sysctl_numainfo& op) {
    const GuestHandle<xen_sysctl_meminfo_t> memory_out(reinterpret_cast<u64>(op.meminfo.p));
    const GuestHandle<u32> distance(reinterpret_cast<u64>(op.distance.p));
    constexpr u32 to_itself = 10;
    const u32 room = std::exchange(op.num_nodes, 1);
    if (room == 0) return {};
    const mm::MemoryTotals memory = mm::memory_totals();
    if (!memory_out.is_null())
        TRY(memory_out.write({.memsize = memory.total_frames * page_size, .memfree = memory.free_frames * page_size}));
    if (!distance.is_null()) TRY(distance.write(to_itself));
    return {};
}

} // namespace streak::hypercall
