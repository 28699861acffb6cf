// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/percpu.hpp"

namespace streak::arch {

/// How an application processor starts once the trampoline has brought it into 64-bit mode.
struct ApStart {
    u64 cr3;       ///< below 4 GiB, maps the trampoline's page at its own address (ap_root())
    u64 stack_top; ///< 16-byte aligned
    u64 entry;     ///< extern "C" [[noreturn]] void(PerCpu*); GS base is `percpu` already
    u64 percpu;
};

/// Writes the trampoline for one processor into the page at `page`, below 1 MiB and page-aligned, through
/// the direct map. The start-up IPI's vector is `page >> 12`. The processor arrives at `entry` with
/// interrupts off, EFER.NXE and SCE set and a temporary GDT (load_descriptor_tables(), init_cpu() next).
void write_trampoline(Maddr page, const ApStart& start);

/// Page tables for the trampoline: the low 4 GiB at their own addresses, and what boot_l4 maps in the
/// hypervisor's slots at the time of the call. Entry code goes over to boot_l4.
[[nodiscard]] u64 ap_root();

} // namespace streak::arch
