// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::arch {

/// Writes a range back to memory and drops it from all caches (CLFLUSH, Intel SDM 2A).
inline void flush_cache_lines(const void* from, u64 bytes) {
    constexpr u64 line = 64; // the smallest line of any x86-64 processor
    const u64 end = reinterpret_cast<u64>(from) + bytes;
    for (u64 at = reinterpret_cast<u64>(from) & ~(line - 1); at < end; at += line)
        asm volatile("clflush (%0)" ::"r"(at) : "memory");
    asm volatile("mfence" ::: "memory");
}

} // namespace streak::arch
