// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// DOMCTL (xen/domctl.h): what a control domain does to other domains. The table in domctl.cpp names the hook and the
// handler of each operation; handlers change the request where the ABI has OUT members, and the dispatcher copies it
// back. One DOMCTL runs at a time, so that handlers need not fear each other. ERESTART: the same call again.

namespace streak::hypercall {

using DomctlHandler = Result<>(Domain& domain, xen_domctl_t& op);

// Life (domctl_life.cpp)
[[nodiscard]] Result<> domctl_create(xen_domctl_t& op);
DomctlHandler domctl_destroy, domctl_pause, domctl_unpause, domctl_resume, domctl_max_vcpus, domctl_max_mem,
    domctl_set_handle, domctl_set_target, domctl_set_address_size, domctl_get_address_size, domctl_hypercall_init,
    domctl_set_time_offset, domctl_set_tsc_info, domctl_get_tsc_info, domctl_send_trigger, domctl_set_virq_handler;

// Reports (domctl_info.cpp)
DomctlHandler domctl_get_info, domctl_get_vcpu_info, domctl_page_types;
/// The same record for SYSCTL_getdomaininfolist.
[[nodiscard]] xen_domctl_getdomaininfo_t describe(Domain& domain);

// Scheduling (domctl_sched.cpp)
DomctlHandler domctl_set_affinity, domctl_get_affinity, domctl_set_node_affinity, domctl_get_node_affinity,
    domctl_scheduler_op;

// Processor state (domctl_context.cpp)
DomctlHandler domctl_set_context, domctl_get_context, domctl_set_ext_context, domctl_get_ext_context, domctl_set_xstate,
    domctl_get_xstate, domctl_set_msrs, domctl_get_msrs, domctl_set_cpu_policy, domctl_get_cpu_policy;

// Devices (domctl_devices.cpp)
DomctlHandler domctl_io_ports, domctl_io_memory, domctl_irq;

// Dirty pages (domctl_log.cpp)
DomctlHandler domctl_shadow;

// Debuggers and builders (domctl_memory.cpp)
DomctlHandler domctl_guest_memory, domctl_pause_vcpu, domctl_unpause_vcpu, domctl_debug_status;

/// A vCPU of another domain. EINVAL: the caller's own; ENOENT: no such vCPU (the ABI's ESRCH where `missing` says so).
[[nodiscard]] inline Result<Vcpu*> vcpu_of_other(const Domain& domain, u32 id, Errno missing = Errno::EINVAL) {
    if (&domain == &caller()) return fail(Errno::EINVAL);
    if (id >= domain.max_vcpus || !domain.vcpus[id]) return fail(missing);
    return domain.vcpus[id];
}

} // namespace streak::hypercall
