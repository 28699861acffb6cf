// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "mm/host_env.hpp"

namespace streak::mm {

/// Where the L1 entry of a virtual address is.
struct L1Slot {
    PageInfo* table = nullptr; ///< a validated L1 table
    u64* entry = nullptr;      ///< in the direct map

    explicit operator bool() const { return entry != nullptr; }
};

/// Walks the guest tables below `cr3` down to level 1; the entry itself may be anything. Empty: no L1 table
/// there, or an address of the hypervisor. The caller holds the page lock, so that what is found stays.
[[nodiscard, gnu::always_inline]] inline L1Slot find_l1_slot(u64 cr3, Vaddr address) {
    const u64 va = address.raw();
    if (unlikely(!arch::guest_range_ok(va, 1))) return {};
    u64 entry = cr3;
#pragma GCC unroll 3
    for (unsigned level = 4; level > 1; --level) {
        const u64* table = arch::direct_map<u64>(Maddr(entry & pte::address_mask));
        entry = __atomic_load_n(&table[pte::index(va, level)], __ATOMIC_RELAXED);
        // Tables of the guest have all of these bits; through a linear page table others can be met.
        if (unlikely((entry & (pte::present | pte::user | pte::large)) != (pte::present | pte::user))) return {};
    }
    PageInfo* table = HostEnv::page(pte::frame(entry));
    if (unlikely(!table)) return {};
    constexpr u64 wanted = type_bits::of(PageType::l1) | type_bits::validated;
    if ((table->type.load(std::memory_order_relaxed) & (type_bits::type_mask | type_bits::validated)) != wanted)
        [[unlikely]]
        return {};
    return {table, HostEnv::entries(*table) + pte::index(va, 1)};
}

/// The entry's value now, or 0. The same rules.
[[nodiscard, gnu::noinline]] inline u64 guest_l1_entry(u64 cr3, Vaddr address) {
    const L1Slot slot = find_l1_slot(cr3, address);
    return slot ? __atomic_load_n(slot.entry, __ATOMIC_RELAXED) : 0;
}

} // namespace streak::mm
