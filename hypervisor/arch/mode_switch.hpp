// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>

#include "arch/msr.hpp"
#include "arch/percpu.hpp"

// What changes between the kernel and user mode of a 64-bit PV guest, in as few instructions as possible: this is
// on the path of each of its system calls.

namespace streak::arch {

/// Stores the guest's active GS base in `save` and makes `next` the active one.
[[gnu::always_inline]] inline void exchange_guest_gs_base(u64& save, const u64& next)
{
    union Halves {
        u64 whole;
        struct {
            u32 low, high;
        };
    };
    Halves old;
    asm volatile("rdmsr" : "=a"(old.low), "=d"(old.high) : "c"(msr::kernel_gs_base));
    asm volatile("mov %%eax, %0\n\tmov %%edx, %1"
                 : "=m"(reinterpret_cast<u32*>(&save)[0]), "=m"(reinterpret_cast<u32*>(&save)[1])
                 : "a"(old.low), "d"(old.high));
    asm volatile("mov %0, %%eax\n\tmov %1, %%edx\n\twrmsr"
                 :
                 : "m"(reinterpret_cast<const u32*>(&next)[0]), "m"(reinterpret_cast<const u32*>(&next)[1]),
                   "c"(msr::kernel_gs_base)
                 : "eax", "edx", "memory");
}

} // namespace streak::arch
