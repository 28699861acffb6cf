// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "lib/types.hpp"

namespace streak::arch {

/// Copies between the hypervisor and the current guest's virtual memory under the current CR3.
/// False when any byte is not accessible or lies in the hypervisor's range; part of the data may
/// have been copied then. Faults are fixed up through the exception table (uaccess.cpp).
[[nodiscard]] bool copy_from_guest(void* to, Vaddr from, u64 bytes);
[[nodiscard]] bool copy_to_guest(Vaddr to, const void* from, u64 bytes);
[[nodiscard]] bool clear_guest(Vaddr to, u64 bytes);

/// Atomic compare-and-exchange of a naturally aligned word in guest memory; `bytes` 1, 2, 4 or 8.
/// False on a fault; otherwise `expected` receives what was found.
[[nodiscard]] bool cmpxchg_guest(Vaddr at, u64& expected, u64 desired, unsigned bytes);

} // namespace streak::arch
