// SPDX-License-Identifier: GPL-2.0-only
#include "arch/smp.hpp"
#include "domain/scheduler.hpp"
#include "hypercall/cpu_bitmap.hpp"
#include "hypercall/domctl.hpp"

// DOMCTL: affinity and shares.

namespace streak::hypercall {

namespace {

constexpr u32 both = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;

/// EINVAL: neither kind of affinity named, or unknown flags; ESRCH: no such vCPU.
[[nodiscard]] Result<Vcpu*> vcpu_for(const Domain& d, const xen_domctl_vcpuaffinity& a) {
    if ((a.flags & both) == 0 || (a.flags & ~(both | XEN_VCPUAFFINITY_FORCE)) != 0) return fail(Errno::EINVAL);
    if (a.vcpu >= d.max_vcpus) return fail(Errno::ESRCH);
    return d.vcpus[a.vcpu];
}

} // namespace

/// Afterwards the bitmaps hold the affinity in effect. EBUSY: the guest has pinned the vCPU itself.
Result<> domctl_set_affinity(Domain& d, xen_domctl_t& op) {
    const xen_domctl_vcpuaffinity& a = op.u.vcpuaffinity;
    TRY_ASSIGN(vcpu, vcpu_for(d, a));
    if (a.flags & XEN_VCPUAFFINITY_FORCE) (void)scheduler::pin_override(*vcpu, -1);
    if (a.flags & XEN_VCPUAFFINITY_HARD) {
        TRY_ASSIGN(hard, read_bitmap(a.cpumap_hard));
        TRY(scheduler::set_affinity(*vcpu, &hard, nullptr));
        TRY(write_bitmap(a.cpumap_hard, hard & smp::online()));
    }
    if (a.flags & XEN_VCPUAFFINITY_SOFT) {
        TRY_ASSIGN(soft, read_bitmap(a.cpumap_soft));
        TRY(scheduler::set_affinity(*vcpu, nullptr, &soft));
        TRY(write_bitmap(a.cpumap_soft, soft & vcpu->sched.hard & smp::online()));
    }
    return {};
}

Result<> domctl_get_affinity(Domain& d, xen_domctl_t& op) {
    const xen_domctl_vcpuaffinity& a = op.u.vcpuaffinity;
    TRY_ASSIGN(vcpu, vcpu_for(d, a));
    if (a.flags & XEN_VCPUAFFINITY_HARD) TRY(write_bitmap(a.cpumap_hard, vcpu->sched.hard));
    if (a.flags & XEN_VCPUAFFINITY_SOFT) TRY(write_bitmap(a.cpumap_soft, vcpu->sched.soft));
    return {};
}

/// All memory is one node. EINVAL: it is not in the set.
Result<> domctl_set_node_affinity(Domain&, xen_domctl_t& op) {
    TRY_ASSIGN(nodes, read_bitmap(op.u.nodeaffinity.nodemap));
    return nodes.test(CpuId(0)) ? Result<>{} : fail(Errno::EINVAL);
}

Result<> domctl_get_node_affinity(Domain&, xen_domctl_t& op) {
    return write_bitmap(op.u.nodeaffinity.nodemap, CpuMask::of(CpuId(0)));
}

/// Weight and cap in the terms of credit2, which is the scheduler that tools are told of.
Result<> domctl_scheduler_op(Domain& d, xen_domctl_t& op) {
    auto& request = op.u.scheduler_op;
    if (request.sched_id != XEN_SCHEDULER_CREDIT2) return fail(Errno::EINVAL);
    auto& share = request.u.credit2;
    switch (request.cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        share = {.weight = static_cast<u16>(d.sched.weight), .cap = static_cast<u16>(d.sched.cap_percent)};
        return {};
    case XEN_DOMCTL_SCHEDOP_putinfo: {
        constexpr u16 keep_cap = 0xffff; // xl: only the weight changes
        const u32 weight = share.weight ? share.weight : d.sched.weight;
        return scheduler::set_share(d, weight, share.cap == keep_cap ? d.sched.cap_percent : share.cap);
    }
    default: return fail(Errno::EINVAL); // shares are per domain
    }
}

} // namespace streak::hypercall
