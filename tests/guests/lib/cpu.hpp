// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/boot.hpp"

namespace guest {

struct CpuidLeaf {
    u32 eax, ebx, ecx, edx;
};

/// CPUID by the forced-emulation prefix: the answer is the hypervisor's.
inline CpuidLeaf forced_cpuid(u32 leaf, u32 subleaf = 0) {
    CpuidLeaf r = {};
    asm volatile(XEN_CPUID : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "0"(leaf), "2"(subleaf));
    return r;
}

/// CPUID as the processor answers it in ring 3.
inline CpuidLeaf plain_cpuid(u32 leaf, u32 subleaf = 0) {
    CpuidLeaf r = {};
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "0"(leaf), "2"(subleaf));
    return r;
}

inline u64 rdtsc() {
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return static_cast<u64>(high) << 32 | low;
}

inline u64 rdmsr(u32 index) {
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return static_cast<u64>(high) << 32 | low;
}

inline void wrmsr(u32 index, u64 value) {
    asm volatile("wrmsr" : : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}

inline u8 inb(u16 port) {
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

inline u32 inl(u16 port) {
    u32 value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

inline void outb(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

inline void outl(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

} // namespace guest
