// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// DOMCTL (xen/domctl.h): what a control domain does to other domains. The table in domctl.cpp names the hook and the
// handler of each operation; handlers change the request where the ABI has OUT members, and the dispatcher copies it
// back. One DOMCTL runs at a time, so that handlers need not fear each other. ERESTART: the same call again.

namespace streak::hypercall {

using DomctlHandler = Result<> (*)(Domain& domain, xen_domctl_t& op);

// Life (domctl_life.cpp)
[[nodiscard]] Result<> domctl_create(xen_domctl_t& op);
[[nodiscard]] Result<> domctl_destroy(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_pause(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_unpause(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_resume(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_max_vcpus(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_max_mem(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_handle(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_target(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_address_size(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_address_size(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_hypercall_init(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_time_offset(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_tsc_info(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_tsc_info(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_send_trigger(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_virq_handler(Domain&, xen_domctl_t&);

// Reports (domctl_info.cpp)
[[nodiscard]] Result<> domctl_get_info(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_vcpu_info(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_page_types(Domain&, xen_domctl_t&);
/// The same record for SYSCTL_getdomaininfolist.
[[nodiscard]] xen_domctl_getdomaininfo_t describe(Domain& domain);

// Scheduling (domctl_sched.cpp)
[[nodiscard]] Result<> domctl_set_affinity(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_affinity(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_node_affinity(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_node_affinity(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_scheduler_op(Domain&, xen_domctl_t&);

// Processor state (domctl_context.cpp)
[[nodiscard]] Result<> domctl_set_context(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_context(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_ext_context(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_ext_context(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_xstate(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_xstate(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_msrs(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_msrs(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_set_cpu_policy(Domain&, xen_domctl_t&);
[[nodiscard]] Result<> domctl_get_cpu_policy(Domain&, xen_domctl_t&);

/// A vCPU of another domain. EINVAL: the caller's own; ENOENT: no such vCPU (the ABI's ESRCH where `missing` says so).
[[nodiscard]] inline Result<Vcpu*> vcpu_of_other(const Domain& domain, u32 id, Errno missing = Errno::EINVAL) {
    if (&domain == &caller()) return fail(Errno::EINVAL);
    if (id >= domain.max_vcpus || !domain.vcpus[id]) return fail(missing);
    return domain.vcpus[id];
}

} // namespace streak::hypercall
