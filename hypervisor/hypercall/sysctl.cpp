// SPDX-License-Identifier: GPL-2.0-only
#include "arch/clock.hpp"
#include "arch/smp.hpp"
#include "console/console.hpp"
#include "domain/scheduler.hpp"
#include "hypercall/cpu_bitmap.hpp"
#include "hypercall/cpu_policy.hpp"
#include "hypercall/domctl.hpp"
#include "hypercall/handlers.hpp"
#include "hypercall/watch.hpp"
#include "lib/log.hpp"

// SYSCTL (xen/sysctl.h): the machine, for the control domain.

namespace streak::hypercall {

namespace {

using xsm::Hook;

// ---- Reports on the hardware ----

[[nodiscard]] Result<> machine_info(xen_sysctl_physinfo& op) {
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

[[nodiscard]] Result<> idle_times(xen_sysctl_getcpuinfo& op) {
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
[[nodiscard]] Result<> free_memory(xen_sysctl_availheap& op) {
    if (op.node > 0) return fail(Errno::EINVAL);
    op.avail_bytes = mm::memory_totals().free_frames * page_size;
    return {};
}

[[nodiscard]] Result<> cpu_topology(xen_sysctl_cputopoinfo& op) {
    const GuestHandle<xen_sysctl_cputopo_t> to(reinterpret_cast<u64>(op.cputopo.p));
    const u32 cpus = arch::online_cpu_count();
    const u32 n = to.is_null() ? 0 : std::min(op.num_cpus, cpus);
    for (u32 i = 0; i < n; ++i) TRY(to.write({.core = 0, .socket = i, .node = 0}, i));
    op.num_cpus = to.is_null() ? cpus : n;
    return {};
}

/// One node with all memory.
[[nodiscard]] Result<> numa_info(xen_sysctl_numainfo& op) {
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

// ---- The rest ----

/// The log, in pieces; `clear` forgets it afterwards.
[[nodiscard]] Result<> read_console(xen_sysctl_readconsole& op) {
    std::array<char, 1024> piece;
    const GuestHandle<char> to(reinterpret_cast<u64>(op.buffer.p));
    u32 copied = 0, index = op.index;
    bool incremental = op.incremental != 0;
    while (copied < op.count) {
        const u32 n =
            read_log(std::span(piece).first(std::min<u64>(piece.size(), op.count - copied)), index, incremental);
        if (n == 0) break;
        TRY(to.write_array(std::span<const char>(piece).first(n), copied));
        copied += n;
        incremental = true;
    }
    op.count = copied;
    op.index = index;
    if (op.clear) clear_log();
    return {};
}

[[nodiscard]] Result<> list_domains(xen_sysctl_getdomaininfolist& op) {
    const GuestHandle<xen_domctl_getdomaininfo_t> to(reinterpret_cast<u64>(op.buffer.p));
    u32 n = 0;
    for (DomainRef d = next_domain(DomId(op.first_domain)); d && n < op.max_domains; d = next_domain(d->id + 1)) {
        if (!may(Hook::domctl_get_info, *d)) continue; // others are not there for this caller
        TRY(to.write(describe(*d), n++));
    }
    op.num_domains = n;
    return {};
}

[[nodiscard]] Result<> press_keys(const xen_sysctl_debug_keys& op) {
    constexpr u32 most = 64;
    const GuestHandle<const char> from(reinterpret_cast<u64>(op.keys.p));
    for (u32 i = 0; i < std::min(op.nr_keys, most); ++i) {
        TRY_ASSIGN(key, from.as<char>().read(i));
        (void)console::debug_key(key);
    }
    return {};
}

/// All CPUs and domains are in pool 0.
[[nodiscard]] Result<> pool_operation(xen_sysctl_cpupool_op& op) {
    switch (op.op) {
    case XEN_SYSCTL_CPUPOOL_OP_INFO: {
        if (op.cpupool_id != 0 && op.cpupool_id != XEN_SYSCTL_CPUPOOL_PAR_ANY) return fail(Errno::ENOENT);
        op.cpupool_id = 0;
        op.sched_id = XEN_SCHEDULER_CREDIT2;
        op.n_dom = 0;
        for_each_domain([&](const Domain&) { ++op.n_dom; });
        return write_bitmap(op.cpumap, smp::online());
    }
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO: return write_bitmap(op.cpumap, CpuMask{});
    default: return fail(Errno::EOPNOTSUPP);
    }
}

[[nodiscard]] Result<> scheduler_operation(xen_sysctl_scheduler_op& op) {
    constexpr u32 ratelimit_us = sched::rate_limit_ns / 1000;
    if (op.cpupool_id != 0 || op.sched_id != XEN_SCHEDULER_CREDIT2) return fail(Errno::EINVAL);
    if (op.cmd != XEN_SYSCTL_SCHEDOP_getinfo) return fail(Errno::EOPNOTSUPP);
    op.u.sched_credit2.ratelimit_us = ratelimit_us;
    return {};
}

[[nodiscard]] Result<> feature_set(xen_sysctl_cpu_featureset& op) {
    constexpr u32 words = 19; // as many as 4.17's tools expect
    const GuestHandle<u32> to(reinterpret_cast<u64>(op.features.p));
    if (op.index > XEN_SYSCTL_cpu_featureset_hvm_max) return fail(Errno::EINVAL);
    const u32 room = std::exchange(op.nr_features, words);
    if (to.is_null()) return {};
    const bool host = op.index <= XEN_SYSCTL_cpu_featureset_host;
    const bool hvm = op.index == XEN_SYSCTL_cpu_featureset_hvm || op.index == XEN_SYSCTL_cpu_featureset_hvm_max;
    for (u32 i = 0; i < std::min(room, words); ++i)
        TRY(to.write(hvm ? 0 : host ? host_features(i) : guest_features(i), i));
    return room < words ? fail(Errno::ENOBUFS) : Result<>{};
}

[[nodiscard]] Result<> policy(xen_sysctl_cpu_policy& op) {
    if (op._rsvd != 0 || op.index > XEN_SYSCTL_cpu_policy_hvm_default) return fail(Errno::EINVAL);
    if (op.index == XEN_SYSCTL_cpu_policy_hvm_max || op.index == XEN_SYSCTL_cpu_policy_hvm_default)
        return fail(Errno::EOPNOTSUPP);
    return write_policy(all_features, op.nr_leaves, GUEST_HANDLE(op.leaves), op.nr_msrs, GUEST_HANDLE(op.msrs));
}

[[nodiscard]] Result<> run(xen_sysctl_t& op) {
    switch (op.cmd) {
    case XEN_SYSCTL_readconsole: TRY(may(Hook::sysctl_console, caller())); return read_console(op.u.readconsole);
    case XEN_SYSCTL_debug_keys: TRY(may(Hook::sysctl_debug_keys, caller())); return press_keys(op.u.debug_keys);
    case XEN_SYSCTL_getdomaininfolist:
        TRY(may(Hook::sysctl_list_domains, caller()));
        return list_domains(op.u.getdomaininfolist);
    case XEN_SYSCTL_cpupool_op: TRY(may(Hook::sysctl_pools, caller())); return pool_operation(op.u.cpupool_op);
    case XEN_SYSCTL_scheduler_op: TRY(may(Hook::sysctl_pools, caller())); return scheduler_operation(op.u.scheduler_op);
    case XEN_SYSCTL_tbuf_op: TRY(may(Hook::sysctl_trace, caller())); return trace_buffers(op.u.tbuf_op);
    case XEN_SYSCTL_perfc_op: TRY(may(Hook::sysctl_counters, caller())); return call_counters(op.u.perfc_op);
    default: break;
    }
    TRY(may(Hook::sysctl_machine, caller()));
    switch (op.cmd) {
    case XEN_SYSCTL_physinfo: return machine_info(op.u.physinfo);
    case XEN_SYSCTL_sched_id: op.u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2; return {};
    case XEN_SYSCTL_getcpuinfo: return idle_times(op.u.getcpuinfo);
    case XEN_SYSCTL_availheap: return free_memory(op.u.availheap);
    case XEN_SYSCTL_cputopoinfo: return cpu_topology(op.u.cputopoinfo);
    case XEN_SYSCTL_numainfo: return numa_info(op.u.numainfo);
    case XEN_SYSCTL_get_cpu_levelling_caps: op.u.cpu_levelling_caps.caps = 0; return {};
    case XEN_SYSCTL_get_cpu_featureset: return feature_set(op.u.cpu_featureset);
    case XEN_SYSCTL_get_cpu_policy: return policy(op.u.cpu_policy);
    // Power management, PCI topology and cache allocation are not Streak's.
    case XEN_SYSCTL_get_pmstat:
    case XEN_SYSCTL_pm_op:
    case XEN_SYSCTL_pcitopoinfo:
    case XEN_SYSCTL_psr_cmt_op:
    case XEN_SYSCTL_psr_alloc: return fail(Errno::ENODEV);
    case XEN_SYSCTL_cpu_hotplug:
    case XEN_SYSCTL_page_offline_op: return fail(Errno::EOPNOTSUPP);
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace

Return sysctl(RawHandle arg) {
    const auto handle = arg.as<xen_sysctl_t>();
    TRY_ASSIGN(op, handle.read());
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION) return fail(Errno::EACCES);
    const Result<> done = run(op);
    if (done || done.error() == Errno::ENOBUFS) TRY(handle.write(op));
    if (!done) return fail(done.error());
    return 0;
}

} // namespace streak::hypercall
