// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/abi.hpp"
#include "lib/types.hpp"

namespace streak::pv {

/// What may be chosen by HYPERVISOR_vm_assist and vcpu_guest_context::vm_assist (xen/xen.h). The 4-GiB
/// segments are those of 32-bit guests: 64-bit kernels ask for them all the same.
inline constexpr u64 valid_vm_assists = 1ull << VMASST_TYPE_4gb_segments | 1ull << VMASST_TYPE_4gb_segments_notify |
                                        1ull << VMASST_TYPE_writable_pagetables | 1ull << VMASST_TYPE_pae_extended_cr3 |
                                        1ull << VMASST_TYPE_architectural_iopl |
                                        1ull << VMASST_TYPE_runstate_update_flag;

} // namespace streak::pv
