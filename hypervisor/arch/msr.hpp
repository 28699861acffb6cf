// SPDX-License-Identifier: GPL-2.0-only
// clang-format off: it would break the %l[label] operands
#pragma once

#include "arch/extable.hpp"

namespace streak::arch {

/// Model-specific registers (Intel SDM 4, AMD APM 2 appendix A).
namespace msr {
inline constexpr u32 tsc = 0x10, apic_base = 0x1b, spec_ctrl = 0x48, pred_cmd = 0x49, ucode_rev = 0x8b,
                     mtrr_cap = 0xfe, arch_capabilities = 0x10a, sysenter_cs = 0x174, sysenter_esp = 0x175,
                     sysenter_eip = 0x176, mcg_cap = 0x179, mcg_status = 0x17a, misc_enable = 0x1a0,
                     debug_ctl = 0x1d9, pat = 0x277, mtrr_def_type = 0x2ff, mc0_ctl = 0x400,
                     tsc_deadline = 0x6e0, x2apic_first = 0x800, xss = 0xda0, efer = 0xc0000080,
                     star = 0xc0000081, lstar = 0xc0000082, cstar = 0xc0000083, sfmask = 0xc0000084,
                     fs_base = 0xc0000100, gs_base = 0xc0000101, kernel_gs_base = 0xc0000102,
                     tsc_aux = 0xc0000103, de_cfg = 0xc0011029;
}

namespace efer {
inline constexpr u64 sce = 1u << 0, lme = 1u << 8, lma = 1u << 10, nxe = 1u << 11, svme = 1u << 12;
}

/// PAT as Xen programs it, and Linux expects it: WB WT UC- UC WC WP UC UC.
inline constexpr u64 pat_value = 0x050100070406;

[[nodiscard]] inline u64 read_msr(u32 index) {
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return low | static_cast<u64>(high) << 32;
}

inline void write_msr(u32 index, u64 value) {
    asm volatile("wrmsr" ::"c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}

/// Reads an MSR that may not exist; false when the processor refuses.
[[nodiscard]] inline bool read_msr_safe(u32 index, u64& value) {
    u32 low, high;
    asm volatile goto("1: rdmsr\n" EXTABLE(1b, %l[refused]) : "=a"(low), "=d"(high) : "c"(index) : : refused);
    asm("");
    value = low | static_cast<u64>(high) << 32;
    return true;
refused:
    return false;
}

} // namespace streak::arch
