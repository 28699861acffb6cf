// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak {

/// Where a pure data structure gets its memory from: the hypervisor's heap, or a test's.
struct MemorySource {
    void* (*allocate)(u64 bytes) = nullptr; ///< zeroed; nullptr when out
    void (*release)(void* memory, u64 bytes) = nullptr;
};

} // namespace streak
