// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "mm/pt_validator.hpp"

namespace streak::mm {

/// Page-table isolation: copies what a guest's validated L4 table may show to the guest into `root`, whose other
/// hypervisor slots stay. An entry that leads to the table itself leads to the root instead, and one to another L4
/// table is left out: the tables of the hypervisor can be reached through those.
template <class Env> void show_guest_entries(Env& env, u64* root, Mfn root_frame, const PageInfo& l4) {
    const u64* const table = env.entries(l4);
    constexpr unsigned m2p_slot = arch::first_hypervisor_slot;
    const auto copy = [&](unsigned i, unsigned end) {
        for (; i < end; ++i) {
            u64 entry = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
            if ((entry & pte::present) && i != m2p_slot) {
                const PageInfo* const child = env.page(pte::frame(entry));
                if (child == &l4) entry = pte::make(root_frame, entry & ~pte::address_mask);
                else if (PageTables<Env>::is_linear(*child)) entry = 0;
            }
            __atomic_store_n(&root[i], entry, __ATOMIC_RELAXED);
        }
    };
    copy(0, m2p_slot + 1);
    copy(arch::last_hypervisor_slot + 1, pte::entries);
}

} // namespace streak::mm
