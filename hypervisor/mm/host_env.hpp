// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/cpu.hpp"
#include "arch/tlb.hpp"
#include "lib/spinlock.hpp"
#include "mm/dirty_log.hpp"
#include "mm/pt_update.hpp"

namespace streak::mm {

/// The machine, as the page-type algorithms see it. Stateless.
struct HostEnv {
    [[nodiscard]] static PageInfo* page(Mfn mfn) { return frame_is_ram(mfn) ? &page_of_unchecked(mfn) : nullptr; }
    [[nodiscard]] static u64* entries(const PageInfo& page) { return page_memory<u64>(page); }
    [[gnu::always_inline]] static void put_page(PageInfo& page) {
        const u64 before = page.count.fetch_sub(1, std::memory_order_acq_rel);
        if (unlikely((before & count_bits::mask) <= 1)) last_reference_gone(page, before);
    }
    [[nodiscard]] static u32 stamp() { return tlb::stamp_now(); }
    static void wait() { spin_wait(); }

    /// Frees the frame whose count was `before`.
    static void last_reference_gone(PageInfo& page, u64 before);
    /// Flushes the CPUs that may hold entries older than the frame's stamp.
    static void flush_stale(const PageInfo& page);
    /// Judges (and adjusts) the descriptors in a page.
    [[nodiscard]] static bool descriptors_ok(const PageInfo& page);
    /// Is this a frame of device space that a privileged domain may map?
    [[nodiscard]] static bool device_frame_allowed(Mfn mfn) {
        return mfn.raw() < 1ull << (arch::cpu_features.physical_address_bits - page_shift) && !io_frame_denied(mfn);
    }
    static void install_hypervisor_slots(u64* l4);
    /// An entry of a table was written (0: any of them).
    static void entry_written(const u64& slot, u64 entry) {
        if (unlikely(dirty_logs != 0)) entry_written_logged(slot, entry);
    }
    static void entry_written_logged(const u64& slot, u64 entry);
    /// An entry of this table was written, or all are: guests that run on a copy of it get it anew.
    static void l4_changed(const PageInfo& l4);
};

extern template class PageTables<HostEnv>;
extern template class TableUpdater<HostEnv>;
using HostTables = TableUpdater<HostEnv>;
inline constinit HostEnv host_env;

/// Copies the sixteen entries of the hypervisor into an L4 table.
void install_hypervisor_slots(Mfn l4);

/// Makes the M2P readable in a validated L4 (its machine address): when it becomes the root of a guest's kernel mode.
/// Tables that only ever serve user mode don't show it (xen/xen.h, VMASST_TYPE_m2p_strict).
void show_m2p(u64 l4);

} // namespace streak::mm
