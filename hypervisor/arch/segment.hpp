// SPDX-License-Identifier: GPL-2.0-only
// clang-format off: it would break the %l[label] operands
#pragma once

#include "arch/cpu.hpp"
#include "arch/msr.hpp"
#include "arch/percpu.hpp"

// Segment registers and bases of the guest, which stay in the processor while the hypervisor runs. Inside,
// GS base is the per-CPU block and MSR_KERNEL_GS_BASE the guest's active GS base.

namespace streak::arch {

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define STREAK_SEGMENT(name)                                                                          \
    [[nodiscard]] inline u16 read_##name() {                                                          \
        u16 selector;                                                                                 \
        asm volatile("mov %%" #name ", %w0" : "=r"(selector));                                        \
        return selector;                                                                              \
    }                                                                                                 \
    /** Loads a guest's selector; on a fault loads the null selector and returns false. */            \
    inline bool load_##name(u16 selector) {                                                           \
        asm volatile goto("1: mov %k0, %%" #name "\n" EXTABLE(1b, %l[fault])                                   \
                 :                                                                                    \
                 : "r"(static_cast<u32>(selector))                                                    \
                 : "memory"                                                                           \
                 : fault);                                                                            \
        return true;                                                                                  \
    fault:                                                                                            \
        asm volatile("mov %k0, %%" #name ::"r"(0) : "memory");                                        \
        return false;                                                                                 \
    }
STREAK_SEGMENT(ds)
STREAK_SEGMENT(es)
STREAK_SEGMENT(fs)
STREAK_SEGMENT(gs) // load_gs() alone destroys the hypervisor's GS base: use load_guest_gs()
#undef STREAK_SEGMENT

// FS base and the guest's active GS base; by instruction where there is one.

[[nodiscard]] inline u64 read_fs_base() {
    if (!cpu_features.fsgsbase) return read_msr(msr::fs_base);
    u64 base;
    asm volatile("rdfsbase %0" : "=r"(base));
    return base;
}
/// `base` must be canonical.
inline void write_fs_base(u64 base) {
    if (cpu_features.fsgsbase) asm volatile("wrfsbase %0" ::"r"(base) : "memory");
    else write_msr(msr::fs_base, base);
}
[[nodiscard]] inline u64 read_guest_gs_base() { return read_msr(msr::kernel_gs_base); }
/// `base` must be canonical.
inline void write_guest_gs_base(u64 base) { write_msr(msr::kernel_gs_base, base); }

/// Loads GS for the guest, with the base its descriptor gives (0 for a null selector) as the guest's
/// active GS base. On a fault: null selector, base 0, false.
bool load_guest_gs(u16 selector);

} // namespace streak::arch
