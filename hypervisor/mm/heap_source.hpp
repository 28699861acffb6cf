// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/memory_source.hpp"
#include "mm/heap.hpp"

namespace streak::mm {

/// The hypervisor's heap, for pure data structures.
inline constexpr MemorySource heap_source{.allocate = allocate, .release = deallocate};

} // namespace streak::mm
