// SPDX-License-Identifier: GPL-2.0-only
#include "mm/guest_walk.hpp"

#include "mm/host_env.hpp"

namespace streak::mm {

L1Slot find_l1_slot(u64 cr3, Vaddr address) {
    const u64 va = address.raw();
    if (!arch::guest_range_ok(va, 1)) [[unlikely]]
        return {};
    u64 entry = cr3;
    for (unsigned level = 4; level > 1; --level) {
        const u64* table = arch::direct_map<u64>(Maddr(entry & pte::address_mask));
        entry = __atomic_load_n(&table[pte::index(va, level)], __ATOMIC_RELAXED);
        // Tables of the guest have all of these bits; through a linear page table others can be met.
        if ((entry & (pte::present | pte::user | pte::large)) != (pte::present | pte::user)) [[unlikely]]
            return {};
    }
    PageInfo* table = HostEnv::page(pte::frame(entry));
    if (!table) [[unlikely]]
        return {};
    const u64 word = table->type.load(std::memory_order_relaxed);
    if (type_bits::type(word) != PageType::l1 || !(word & type_bits::validated)) [[unlikely]]
        return {};
    return {table, HostEnv::entries(*table) + pte::index(va, 1)};
}

u64 guest_l1_entry(u64 cr3, Vaddr address) {
    const L1Slot slot = find_l1_slot(cr3, address);
    return slot ? __atomic_load_n(slot.entry, __ATOMIC_RELAXED) : 0;
}

} // namespace streak::mm
