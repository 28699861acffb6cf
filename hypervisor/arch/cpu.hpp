// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <bit>

#include "lib/types.hpp"

namespace streak::arch {

struct CpuidLeaf {
    u32 eax, ebx, ecx, edx;
};

[[nodiscard]] inline CpuidLeaf cpuid(u32 leaf, u32 subleaf = 0) {
    CpuidLeaf out;
    asm volatile("cpuid" : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx) : "a"(leaf), "c"(subleaf));
    return out;
}

/// The vendor's name as CPUID gives it.
[[nodiscard]] inline std::array<char, 12> cpu_vendor_name() {
    const CpuidLeaf leaf = cpuid(0);
    return std::bit_cast<std::array<char, 12>>(std::array{leaf.ebx, leaf.edx, leaf.ecx});
}

enum class CpuVendor : u8 { intel, amd, other };

/// What the boot processor can do. All processors are expected to be alike.
struct CpuFeatures {
    CpuVendor vendor;
    u32 family, model, stepping;
    u32 max_leaf, max_extended_leaf;
    u32 physical_address_bits;
    bool pat, pge, mce, sep, xsave, xsaveopt, tsc_deadline, x2apic;
    bool rdtscp, invariant_tsc;
    bool fsgsbase, smep, smap, umip, pcid, monitor;
    bool md_clear, ibpb, arch_capabilities;
    bool under_hypervisor; ///< CPUID leaf 1, ecx bit 31
    bool qemu_tcg;         ///< the emulator whose IRETQ reads a ring 3 stack as supervisor
    u64 xcr0;              ///< state components Streak lets guests use; 0 without XSAVE
    u32 xsave_bytes;       ///< standard-format area for xcr0
};

extern CpuFeatures cpu_features;

/// Fills cpu_features; once, on the boot processor, before init_cpu().
void detect_cpu_features();

/// Changes the hypervisor's code, which no other processor executes at the time.
void patch_text(const void* at, const u8* instructions, u64 bytes);

/// Brings this processor's CR0, CR4, XCR0, EFER, PAT and system-call MSRs into the state Streak runs
/// in. The per-CPU block and descriptor tables must be loaded.
void init_cpu();

/// The command line's `smep=off`, `smap=off`: before other processors start; init_cpu() has to follow.
void limit_protection(bool smep, bool smap);

/// CR4 as init_cpu() sets it; CR4.TSD alone differs from guest to guest.
[[nodiscard]] u64 host_cr4();

/// Interrupts on for one instruction, so that pending ones are taken: preemption points. No lock held.
inline void interrupt_window() { asm volatile("sti\n\tnop\n\tcli" ::: "memory"); }

/// Waits for an interrupt unless this CPU has work (interrupts off before and after).
void idle_halt();

inline void cpu_relax() { asm volatile("pause" ::: "memory"); }

[[nodiscard]] inline u64 rdtsc() {
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | static_cast<u64>(high) << 32;
}

/// The same, never executed before the loads in front of it have finished.
[[nodiscard]] inline u64 rdtsc_ordered() {
    asm volatile("lfence" ::: "memory");
    return rdtsc();
}

/// Leaves the present C++ frames for good: the stack is reset and the CPU goes on with current(),
/// a guest or the idle loop, by the exit path of entry.S.
extern "C" [[noreturn]] void exit_to_current();

} // namespace streak::arch
