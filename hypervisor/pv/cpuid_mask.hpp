// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <initializer_list>

#include "lib/types.hpp"

// The CPUID feature bits that PV guests get when the processor has them (Intel SDM 2A CPUID, AMD APM 3
// appendix E). Everything else is hidden: what is privileged and not emulated (MONITOR, VMX, SVM, MTRRs,
// x2APIC, the TSC-deadline timer, thermal and performance monitoring), what would need page-table rights a
// guest has not (superpages, global pages, PCID, SMEP, SMAP, protection keys), and state that is not
// switched.

namespace streak::pv::cpuid_mask {

[[nodiscard]] constexpr u32 bits(std::initializer_list<unsigned> numbers) {
    u32 mask = 0;
    for (unsigned n : numbers) mask |= 1u << n;
    return mask;
}

/// FPU DE TSC MSR PAE MCE CX8 APIC | SEP | MCA CMOV PAT CLFSH MMX FXSR SSE SSE2 SS
inline constexpr u32 leaf1_edx = bits({0, 2, 4, 5, 6, 7, 8, 9, 11, 14, 15, 16, 19, 23, 24, 25, 26, 27});
inline constexpr u32 leaf1_edx_sep = bits({11});
/// SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE OSXSAVE AVX F16C RDRAND
inline constexpr u32 leaf1_ecx = bits({0, 1, 9, 12, 13, 19, 20, 22, 23, 25, 26, 27, 28, 29, 30});
inline constexpr u32 leaf1_ecx_osxsave = bits({27}), leaf1_ecx_hypervisor = bits({31});
/// XSAVE OSXSAVE AVX FMA F16C: without XSAVE none of them.
inline constexpr u32 leaf1_ecx_xsave = bits({12, 26, 27, 28, 29});
/// The bits that AMD repeats in leaf 0x80000001.
inline constexpr u32 amd_common_edx = bits({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 23, 24});

/// FSGSBASE BMI1 AVX2 BMI2 ERMS RDSEED ADX CLFLUSHOPT CLWB SHA
inline constexpr u32 leaf7_ebx = bits({0, 3, 5, 8, 9, 18, 19, 23, 24, 29});
/// AVX-512 F DQ IFMA PF ER CD BW VL
inline constexpr u32 leaf7_ebx_avx512 = bits({16, 17, 21, 26, 27, 28, 30, 31});
/// PREFETCHWT1 GFNI VAES VPCLMUL RDPID MOVDIRI MOVDIR64B
inline constexpr u32 leaf7_ecx = bits({0, 8, 9, 10, 22, 27, 28});
/// VBMI VBMI2 VNNI BITALG VPOPCNTDQ
inline constexpr u32 leaf7_ecx_avx512 = bits({1, 6, 11, 12, 14});
/// FSRM MD_CLEAR
inline constexpr u32 leaf7_edx = bits({4, 10});
/// 4VNNIW 4FMAPS VP2INTERSECT
inline constexpr u32 leaf7_edx_avx512 = bits({2, 3, 8});
/// AVX-VNNI, fast short REP forms
inline constexpr u32 leaf7_1_eax = bits({4, 10, 11, 12});

/// XSAVEOPT XSAVEC XGETBV1
inline constexpr u32 leafd_1_eax = bits({0, 1, 2});

/// SYSCALL NX MMXEXT FFXSR RDTSCP LM 3DNOWEXT 3DNOW
inline constexpr u32 leaf80000001_edx = bits({11, 20, 22, 25, 27, 29, 30, 31});
inline constexpr u32 leaf80000001_edx_syscall = bits({11}), leaf80000001_edx_rdtscp = bits({27});
/// LAHF ABM SSE4A MISALIGNSSE 3DNOWPREFETCH XOP FMA4 TBM
inline constexpr u32 leaf80000001_ecx = bits({0, 5, 6, 7, 8, 11, 16, 21});
inline constexpr u32 leaf80000007_edx_invariant_tsc = bits({8});
/// CLZERO, error pointers are restored, WBNOINVD
inline constexpr u32 leaf80000008_ebx = bits({0, 2, 9});
/// LFENCE serialises; null selectors clear their base
inline constexpr u32 leaf80000021_eax = bits({2, 6});

} // namespace streak::pv::cpuid_mask
