// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "mm/page.hpp"

namespace streak::mm {

/// Where the L1 entry of a virtual address is.
struct L1Slot {
    PageInfo* table = nullptr; ///< a validated L1 table
    u64* entry = nullptr;      ///< in the direct map

    explicit operator bool() const { return entry != nullptr; }
};

/// Walks the guest tables below `cr3` down to level 1; the entry itself may be anything. Empty: no L1 table
/// there, or an address of the hypervisor. The caller holds the page lock, so that what is found stays.
[[nodiscard]] L1Slot find_l1_slot(u64 cr3, Vaddr address);

/// The entry's value now, or 0. The same rules.
[[nodiscard]] u64 guest_l1_entry(u64 cr3, Vaddr address);

} // namespace streak::mm
