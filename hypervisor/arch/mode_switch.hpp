// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/msr.hpp"
#include "arch/percpu.hpp"

// What changes between the kernel and user mode of a 64-bit PV guest, in as few instructions as possible:
// this is on the path of each of its system calls.

namespace streak::arch {

/// Stores the guest's active GS base in `save` and makes `next` the active one.
[[gnu::always_inline]] inline void exchange_guest_gs_base(u64& save, const u64& next) {
    asm volatile("rdmsr\n\t"
                 "mov %%eax, %0\n\t"
                 "mov %%edx, 4+%0\n\t"
                 "mov %1, %%eax\n\t"
                 "mov 4+%1, %%edx\n\t"
                 "wrmsr"
                 : "=m"(save)
                 : "m"(next), "c"(msr::kernel_gs_base)
                 : "eax", "edx");
}

/// Loads CR3 and notes it in the CPU's block. The shoot-down clock (arch/tlb.hpp) does not hear of this
/// flush, which only makes it flush more often than needed.
[[gnu::always_inline]] inline void set_guest_cr3(u64 cr3) {
    asm volatile("mov %0, %%gs:%c1\n\tmov %0, %%cr3" ::"r"(cr3), "i"(offsetof(PerCpu, cr3)) : "memory");
}

} // namespace streak::arch
