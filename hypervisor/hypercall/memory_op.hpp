// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

namespace streak::hypercall {

// A command's upper bits tell the first extent to do; only the hypervisor sets them.
inline constexpr unsigned extent_shift = 6;
inline constexpr u64 command_mask = (1u << extent_shift) - 1;

/// XENMEM_increase_reservation, decrease_reservation, populate_physmap from extent `start` on: the number of extents
/// done so far, which is all of them unless one failed.
[[nodiscard]] Return change_reservation(u32 op, u64 start, RawHandle argument);

/// XENMEM_exchange.
[[nodiscard]] Return exchange_memory(RawHandle argument);

} // namespace streak::hypercall
