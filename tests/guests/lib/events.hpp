// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/hypercall.hpp"

namespace guest {

/// Two-level bitmaps of the shared page.
bool port_pending(u32 port);
bool port_masked(u32 port);
void clear_port(u32 port);
void mask_port(u32 port);
/// Clears the mask bit only; EVTCHNOP_unmask also raises an upcall that was held back.
void unmask_port(u32 port);

/// EVTCHNOP wrappers; a negative number is the error.
long alloc_unbound(domid_t remote = DOMID_SELF, domid_t domain = DOMID_SELF);
long bind_interdomain(u32 remote_port, domid_t remote = DOMID_SELF);
long bind_virq(u32 virq, u32 vcpu = 0);
long bind_ipi(u32 vcpu = 0);
long send(u32 port);
long close_port(u32 port);
long unmask_op(u32 port);
long bind_vcpu(u32 port, u32 vcpu);
evtchn_status_t status(u32 port, long& result);

/// This vCPU's upcall mask.
void mask_events();
/// Unmasks and lets what is pending in now.
void unmask_events();

/// System time of the hypervisor, nanoseconds since boot, from the shared time page.
u64 system_time();

} // namespace guest
