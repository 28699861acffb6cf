// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a tool asks for something that there is not, and what it does next depends on the error. list.hpp holds
// every operation that the sources refuse, with the error they name; each is called here, by a control domain and with
// arguments that nothing else is wrong with, and has to end with just that.

#include "tests/guests/lib/control.hpp"
#include "tests/guests/lib/paging.hpp"

#include <xen/xsm/flask_op.h> // the hypervisor has no use for it, and does not include it

using namespace guest;

namespace {

/// How an operation is called.
enum class Via {
    hypercall,
    mmuext,
    assist,
    memory,
    resource,
    grant,
    physdev,
    map_pirq,
    platform,
    firmware,
    power,
    mca,
    sysctl,
    pool,
    pool_scheduler,
    policy,
    domctl,
    shadow,
    shadow_mode,
    scheduler,
    trigger,
    pmu,
    flask,
    kexec,
    argo,
    hypfs,
    xenoprof,
    tmem
};

struct Refusal {
    Via via;
    u32 number;
    int error;
    std::string_view name;
};

#include "tests/guests/refusals/list.hpp"

constinit domid_t other = 0; ///< a domain that operations on domains are about

/// A page of zeros with `first` at its beginning.
Page* argument(u64 first = 0) {
    static Page* page = alloc_page();
    memset(page, 0, page_size);
    page->word[0] = first;
    return page;
}

long call_machine(Via via, u32 number) {
    xen_platform_op_t platform = {};
    xen_sysctl_t sysctl_op = {};
    auto& pool = sysctl_op.u.scheduler_op;
    switch (via) {
    case Via::firmware: platform.u.firmware_info.type = number; return platform_op(XENPF_firmware_info, platform);
    case Via::power: platform.u.set_pminfo.type = number; return platform_op(XENPF_set_processor_pminfo, platform);
    case Via::platform: return platform_op(number, platform);
    case Via::pool: sysctl_op.u.cpupool_op.op = number; return sysctl(XEN_SYSCTL_cpupool_op, sysctl_op);
    case Via::pool_scheduler:
        pool.sched_id = XEN_SCHEDULER_CREDIT2;
        pool.cmd = number;
        return sysctl(XEN_SYSCTL_scheduler_op, sysctl_op);
    case Via::policy: sysctl_op.u.cpu_policy.index = number; return sysctl(XEN_SYSCTL_get_cpu_policy, sysctl_op);
    default: return sysctl(number, sysctl_op);
    }
}

long call_about_domain(Via via, u32 number) {
    xen_domctl_t op = {};
    switch (via) {
    case Via::shadow: op.u.shadow_op.op = number; return domctl(XEN_DOMCTL_shadow_op, other, op);
    case Via::shadow_mode:
        op.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE;
        op.u.shadow_op.mode = number;
        return domctl(XEN_DOMCTL_shadow_op, other, op);
    case Via::scheduler:
        op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
        op.u.scheduler_op.cmd = number;
        return domctl(XEN_DOMCTL_scheduler_op, other, op);
    case Via::trigger: op.u.sendtrigger.trigger = number; return domctl(XEN_DOMCTL_sendtrigger, other, op);
    default: return domctl(number, other, op);
    }
}

long acquire(u32 type) {
    xen_mem_acquire_resource_t op = {};
    op.domid = other;
    op.type = static_cast<u16>(type);
    return memory_op(XENMEM_acquire_resource, &op);
}

long map_pirq(u32 type) {
    physdev_map_pirq_t op = {};
    op.domid = DOMID_SELF;
    op.type = static_cast<int>(type);
    op.pirq = -1;
    return physdev_call(PHYSDEVOP_map_pirq, &op);
}

/// The reset of a debug port is one of two operations, 1 and 2; no other call looks at the beginning.
long physdev(u32 number) { return physdev_call(static_cast<int>(number), argument(PHYSDEVOP_DBGP_RESET_PREPARE)); }

long call(Via via, u32 number) {
    switch (via) {
    case Via::hypercall: return bare_hypercall(number, argument(), argument());
    case Via::mmuext: return mmuext(number);
    case Via::assist: return hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, number);
    case Via::memory: return memory_op(static_cast<int>(number), argument());
    case Via::resource: return acquire(number);
    case Via::grant: return grant_table_op(static_cast<int>(number), argument());
    case Via::physdev: return physdev(number);
    case Via::map_pirq: return map_pirq(number);
    case Via::mca: return hypercall(__HYPERVISOR_mca, argument(number | u64{XEN_MCA_INTERFACE_VERSION} << 32));
    case Via::pmu: return hypercall(__HYPERVISOR_xenpmu_op, number, argument());
    case Via::flask: return hypercall(__HYPERVISOR_xsm_op, argument(number | u64{XEN_FLASK_INTERFACE_VERSION} << 32));
    case Via::kexec: return hypercall(__HYPERVISOR_kexec_op, number, argument());
    case Via::argo: return hypercall(__HYPERVISOR_argo_op, number, argument(), argument());
    case Via::hypfs: return hypercall(__HYPERVISOR_hypfs_op, number, argument());
    case Via::xenoprof: return hypercall(__HYPERVISOR_xenoprof_op, number, argument());
    case Via::tmem: return hypercall(__HYPERVISOR_tmem_op, argument(number));
    case Via::platform:
    case Via::firmware:
    case Via::power:
    case Via::sysctl:
    case Via::pool:
    case Via::pool_scheduler:
    case Via::policy: return call_machine(via, number);
    default: return call_about_domain(via, number);
    }
}

} // namespace

GUEST("refusals") {
    if (!is_streak()) skip("what is refused is the hypervisor's choice");
    other = new_domain();
    for (const Refusal& refusal : refusals) expect_eq(call(refusal.via, refusal.number), -refusal.error, refusal.name);
    Line() << std::size(refusals) << " refusals";
    expect_eq(domctl(XEN_DOMCTL_destroydomain, other), 0, "nothing of it keeps the domain");
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "the hypervisor lives on");
}
