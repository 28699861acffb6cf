// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::arch {

namespace cr0 {
inline constexpr u64 pe = 1u << 0, mp = 1u << 1, em = 1u << 2, ts = 1u << 3, et = 1u << 4, ne = 1u << 5, wp = 1u << 16,
                     am = 1u << 18, nw = 1u << 29, cd = 1u << 30, pg = 1u << 31;
}
namespace cr4 {
inline constexpr u64 vme = 1u << 0, pvi = 1u << 1, tsd = 1u << 2, de = 1u << 3, pse = 1u << 4, pae = 1u << 5,
                     mce = 1u << 6, pge = 1u << 7, pce = 1u << 8, osfxsr = 1u << 9, osxmmexcpt = 1u << 10,
                     umip = 1u << 11, fsgsbase = 1u << 16, pcide = 1u << 17, osxsave = 1u << 18, smep = 1u << 20,
                     smap = 1u << 21, pke = 1u << 22;
}

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define STREAK_CONTROL_REGISTER(n)                                                                                     \
    [[nodiscard]] inline u64 read_cr##n() {                                                                            \
        u64 value;                                                                                                     \
        asm volatile("mov %%cr" #n ", %0" : "=r"(value));                                                              \
        return value;                                                                                                  \
    }                                                                                                                  \
    inline void write_cr##n(u64 value) { asm volatile("mov %0, %%cr" #n ::"r"(value) : "memory"); }
STREAK_CONTROL_REGISTER(0)
STREAK_CONTROL_REGISTER(2)
STREAK_CONTROL_REGISTER(3)
STREAK_CONTROL_REGISTER(4)
#undef STREAK_CONTROL_REGISTER

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define STREAK_DEBUG_REGISTER(n)                                                                                       \
    [[nodiscard]] inline u64 read_dr##n() {                                                                            \
        u64 value;                                                                                                     \
        asm volatile("mov %%db" #n ", %0" : "=r"(value));                                                              \
        return value;                                                                                                  \
    }                                                                                                                  \
    inline void write_dr##n(u64 value) { asm volatile("mov %0, %%db" #n ::"r"(value)); }
STREAK_DEBUG_REGISTER(0)
STREAK_DEBUG_REGISTER(1)
STREAK_DEBUG_REGISTER(2)
STREAK_DEBUG_REGISTER(3)
STREAK_DEBUG_REGISTER(6)
STREAK_DEBUG_REGISTER(7)
#undef STREAK_DEBUG_REGISTER

/// Drops the TLB entries of one page, global or not.
inline void invlpg(u64 va) { asm volatile("invlpg (%0)" ::"r"(va) : "memory"); }

/// Writes a range back to memory and drops it from all caches (CLFLUSH, Intel SDM 2A).
inline void flush_cache_lines(const void* from, u64 bytes) {
    constexpr u64 line = 64; // the smallest line of any x86-64 processor
    const u64 end = reinterpret_cast<u64>(from) + bytes;
    for (u64 at = reinterpret_cast<u64>(from) & ~(line - 1); at < end; at += line)
        asm volatile("clflush (%0)" ::"r"(at) : "memory");
    asm volatile("mfence" ::: "memory");
}

/// Writes modified cache lines back and empties the caches of this CPU.
inline void write_back_caches() { asm volatile("wbinvd" ::: "memory"); }

inline void clear_ts() { asm volatile("clts" ::: "memory"); }
inline void set_ts() {
    if (const u64 now = read_cr0(); !(now & cr0::ts)) write_cr0(now | cr0::ts);
}

inline void write_xcr0(u64 value) {
    asm volatile("xsetbv" ::"c"(0), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)));
}
} // namespace streak::arch
