// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/descriptor.hpp"

// Private to arch: the memory behind a processor.

namespace streak::arch {

inline constexpr u64 ist_stack_bytes = page_size;
inline constexpr u64 stack_bytes = 8 * page_size;

/// entry.S finds the CPU's block, and tables that map everything, in the uppermost 16 bytes of each of these.
struct IstStack {
    std::array<u8, ist_stack_bytes - 16> space;
    PerCpu* percpu;
    u64 full_cr3; ///< 0: there are no others (arch/speculation.hpp)

    [[nodiscard]] u64 top() const { return reinterpret_cast<u64>(&percpu); }
};
static_assert(sizeof(IstStack) == ist_stack_bytes);

/// One processor's descriptor tables and exception stacks.
struct alignas(page_size) CpuTables {
    std::array<u64, page_size / 8> gdt; ///< page first_reserved_gdt_page of the GDT window
    std::array<IstStack, ist_count> ist_stacks;
    IstStack entry_stack; ///< where frames of isolated guests are stored before the full tables are loaded
    alignas(16) Tss tss;
    u64* window; ///< page-table entries of the GDT window, then the LDT window; null before map_windows()
};

struct alignas(page_size) CpuArea {
    std::array<u8, stack_bytes> stack; ///< an overflow runs off the area's start
    CpuTables tables;
    PerCpu percpu;
};

/// Fills the GDT page, TSS and IST stacks of `block.tables`.
void init_tables(PerCpu& block);
void register_percpu(CpuId cpu, PerCpu& block);

} // namespace streak::arch
