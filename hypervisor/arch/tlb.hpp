// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/cpu_mask.hpp"

// Translation look-aside buffers. Guest entries are never global: a CR3 load forgets all of them.
//
// Flush avoidance: a clock advances with flushes. A frame whose last type reference goes keeps
// stamp_now(); when the frame gets another use, only those CPUs need a flush that have not flushed
// since (filter). With one CPU nothing of this costs more than a load.

namespace streak::tlb {

enum class Flush : u8 {
    page,  ///< one linear address (INVLPG, which also drops all paging-structure caches)
    guest, ///< everything not global (CR3 reload)
    all,   ///< global entries too (hypervisor mappings changed)
};

/// Flushes on this CPU.
void flush_local(Flush kind, Vaddr address = Vaddr(0));

/// Entries of other PCIDs than the hypervisor's go before this CPU runs a guest again; part of the others here.
void forget_guest_entries();

/// Flushes on every online CPU of `cpus` (this one included if in the set) and waits for it. May be called
/// with locks held and interrupts off.
void flush(const CpuMask& cpus, Flush kind, Vaddr address = Vaddr(0));

/// Loads CR3 (a flush of all guest entries, counted by the clock).
void load_cr3(u64 cr3);

/// The time to put into PageInfo::tlb_stamp.
[[nodiscard]] u32 stamp_now();
/// Removes from `cpus` those that have flushed since `stamp`.
void filter(CpuMask& cpus, u32 stamp);

/// The part of a flush that is in memory, where PerCpu::soft_tlb is set. (domain/log_dirty.cpp)
void flush_soft(Flush kind, Vaddr address);

/// Serves a flush that another CPU waits for, if there is one (spin loops and the flush IPI).
void serve_mailbox();

/// Restarts the clock when it has run out; called now and then without locks.
void maintain();

} // namespace streak::tlb
