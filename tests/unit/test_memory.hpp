// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdlib>

#include "lib/memory_source.hpp"

namespace streak::test {

/// Allocations that are still to succeed; tests lower it to see a structure run out of memory.
inline u64 allocations_left = ~0ull;
inline i64 live_bytes = 0;

/// The C library's heap, aligned to pages as the hypervisor's is.
inline constexpr MemorySource memory{
    .allocate = [](u64 bytes) -> void* {
        if (allocations_left == 0) return nullptr;
        --allocations_left;
        live_bytes += static_cast<i64>(bytes);
        void* p = std::aligned_alloc(4096, (bytes + 4095) & ~4095ull);
        __builtin_memset(p, 0, bytes);
        return p;
    },
    .release =
        [](void* p, u64 bytes) {
            live_bytes -= static_cast<i64>(bytes);
            std::free(p);
        },
};

/// Lets the n-th allocation from now fail, for a scope.
struct OutOfMemoryAfter {
    explicit OutOfMemoryAfter(u64 n) { allocations_left = n; }
    ~OutOfMemoryAfter() { allocations_left = ~0ull; }
};

} // namespace streak::test
