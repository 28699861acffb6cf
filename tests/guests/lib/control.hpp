// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/hypercall.hpp"
#include "tests/guests/lib/verdict.hpp"

// Calls of a control domain, with the versions that their structures carry.

namespace guest {

inline long domctl(u32 command, domid_t domain, xen_domctl_t& op) {
    op.cmd = command;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = domain;
    return hypercall(__HYPERVISOR_domctl, &op);
}

inline long domctl(u32 command, domid_t domain) {
    xen_domctl_t op = {};
    return domctl(command, domain, op);
}

inline long sysctl(u32 command, xen_sysctl_t& op) {
    op.cmd = command;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_sysctl, &op);
}

inline long platform_op(u32 command, xen_platform_op_t& op) {
    op.cmd = command;
    op.interface_version = XENPF_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_platform_op, &op);
}

/// A domain of one vCPU and no memory, paused. `version` is the highest layout of grants that it may choose.
inline domid_t new_domain(u32 version = 1) {
    xen_domctl_t op = {};
    op.u.createdomain.max_vcpus = 1;
    op.u.createdomain.max_evtchn_port = 63;
    op.u.createdomain.max_grant_frames = op.u.createdomain.max_maptrack_frames = -1;
    op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(version);
    require_eq(domctl(XEN_DOMCTL_createdomain, 0, op), 0, "DOMCTL_createdomain");
    const domid_t id = op.domain;
    op.u.max_vcpus.max = 1;
    require_eq(domctl(XEN_DOMCTL_max_vcpus, id, op), 0, "DOMCTL_max_vcpus");
    return id;
}

} // namespace guest
