// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

// The whole state of a PV vCPU, as others write and read it (xen/arch-x86/xen.h, vcpu_guest_context).

namespace streak::pv {

/// Gives a vCPU its state (VCPUOP_initialise, DOMCTL_setvcpucontext). It doesn't run, is off its CPU, and
/// Domain::context_lock is held. EINVAL: something in the context is not allowed; EOPNOTSUPP: an initialised
/// vCPU can't get other page tables; nothing has changed then. ERESTART: call again with the same context.
[[nodiscard]] Result<> set_context(Vcpu& v, const vcpu_guest_context_t& context);

/// The state of a vCPU that doesn't run and is off its CPU.
void get_context(const Vcpu& v, vcpu_guest_context_t& context);

} // namespace streak::pv
