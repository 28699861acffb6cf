// SPDX-License-Identifier: GPL-2.0-only
#include "mm/guest_walk.hpp"

namespace streak::mm {

u64 guest_l1_entry(u64 cr3, Vaddr address) {
    const L1Slot slot = find_l1_slot(cr3, address);
    return slot ? __atomic_load_n(slot.entry, __ATOMIC_RELAXED) : 0;
}

} // namespace streak::mm
