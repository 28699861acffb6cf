// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

// The whole state of a PV vCPU, as others write and read it (xen/arch-x86/xen.h, vcpu_guest_context).

namespace streak::pv {

/// What may be chosen by HYPERVISOR_vm_assist and vcpu_guest_context::vm_assist (xen/xen.h). The 4-GiB
/// segments are those of 32-bit guests: 64-bit kernels ask for them all the same.
inline constexpr u64 valid_vm_assists = 1ull << VMASST_TYPE_4gb_segments | 1ull << VMASST_TYPE_4gb_segments_notify |
                                        1ull << VMASST_TYPE_writable_pagetables | 1ull << VMASST_TYPE_pae_extended_cr3 |
                                        1ull << VMASST_TYPE_architectural_iopl |
                                        1ull << VMASST_TYPE_runstate_update_flag;

/// Gives a vCPU its state (VCPUOP_initialise, DOMCTL_setvcpucontext). It doesn't run, is off its CPU, and
/// Domain::context_lock is held. EINVAL: something in the context is not allowed; EOPNOTSUPP: an initialised
/// vCPU can't get other page tables; nothing has changed then. ERESTART: call again with the same context.
[[nodiscard]] Result<> set_context(Vcpu& v, const vcpu_guest_context_t& context);

/// The state of a vCPU that doesn't run and is off its CPU.
void get_context(const Vcpu& v, vcpu_guest_context_t& context);

} // namespace streak::pv
