// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>

#include "arch/layout.hpp"
#include "mm/pte.hpp"

// The page tables that a vCPU of a logged domain runs on in place of its guest's. They are a TLB in memory: a fault
// makes one entry, by the walk that the processor would have made, accessed and dirty bits included; a flush of the
// TLB, for whatever reason, empties them. So they may be as stale as a TLB, and never more. Only their last level
// means something: the rights of all four levels are in it. It allows writing once the page is noted as written.
//
// No lock: only the CPU that runs the vCPU uses them, interrupts off. A frame that the walk meets can't have got
// another use before this CPU has served the flush that comes first, as with a walk of the processor. `Env`:
//   table(entry)        the table that an entry leads to
//   entry_for(table)    an entry that leads to a table of these
//   note_write(frame)   the page or page table was written, or is about to be
//   is_noted(frame)     was it before, since the log was last read?
//   root_changed()      copies of the roots are stale
//   flush_guest()       this CPU's TLB is flushed, and these tables with it

namespace streak::mm {

namespace fault {
inline constexpr u32 present = 1, write = 2, user = 4, reserved = 8, fetch = 16; ///< page-fault error codes
} // namespace fault

template <class Env> class SoftTlb {
public:
    enum class Fill : u8 { done, absent, forbidden };

    /// `memory`: at least five frames; the first two are the roots of kernel and user mode, empty but for the
    /// hypervisor's entries.
    SoftTlb(Env& env, u64* memory, unsigned frames) : env_(env), memory_(memory), frames_(frames) {}

    [[nodiscard]] u64* root(bool user) const { return memory_ + (user ? pte::entries : 0); }

    /// Makes the entry that an access (bits of fault) needs, by the guest's tables at `cr3`. done: the access may be
    /// tried again; absent, forbidden: the guest's tables don't allow it.
    [[nodiscard]] Fill fill(bool user, u64 cr3, u64 va, u32 access) {
        if (!arch::guest_range_ok(va, 1)) return Fill::absent;
        u64 *slots[5], seen[6]; // seen[level + 1] leads to the table of `level`
        u64 all = ~0ull, any = 0;
        seen[5] = cr3;
        for (unsigned level = 4; level > 0; --level) {
            slots[level] = env_.table(seen[level + 1]) + pte::index(va, level);
            const u64 entry = seen[level] = __atomic_load_n(slots[level], __ATOMIC_RELAXED);
            constexpr u64 wanted = pte::present | pte::user;
            // Through a linear page table others than the guest's can be met.
            if ((entry & wanted) != wanted || (level > 1 && (entry & pte::large))) return Fill::absent;
            if (level == 1) break;
            all &= entry;
            any |= entry;
        }
        const bool write = access & fault::write;
        if ((write && !(all & seen[1] & pte::writable)) ||
            ((access & fault::fetch) && ((any | seen[1]) & pte::no_execute)))
            return Fill::forbidden;
        for (unsigned level = 4; level > 0; --level) {
            const u64 used = seen[level] | pte::accessed | (write && level == 1 ? pte::dirty : 0);
            if (used == seen[level]) continue;
            u64 expected = seen[level];
            if (!__atomic_compare_exchange_n(slots[level], &expected, used, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                return Fill::done; // it changed: the access faults again
            env_.note_write(pte::frame(seen[level + 1]));
        }
        const auto rights = [&](u64 entry) {
            return (entry & ~pte::global & (all | ~pte::writable)) | (any & pte::no_execute);
        };
        if (used_ + new_tables > frames_) env_.flush_guest();
        u64& entry = *find(user, va, true);
        prefetch(&entry, slots[1], rights);
        if (write) env_.note_write(pte::frame(seen[1]));
        store(entry, write ? rights(seen[1]) : unless_noted(rights(seen[1])));
        return Fill::done;
    }

    /// Part of a flush of this CPU's TLB. (Called as well before the vCPU's first entry on it.)
    void drop() {
        if (used_ != roots)
            for (const bool user : {false, true}) {
                std::fill_n(root(user), arch::first_hypervisor_slot, 0);
                std::fill(root(user) + arch::last_hypervisor_slot + 1, root(user) + pte::entries, 0);
            }
        used_ = roots;
        env_.root_changed();
    }
    void drop_page(u64 va) {
        if (!arch::guest_range_ok(va, 1)) return;
        for (const bool user : {false, true})
            if (u64* slot = find(user, va, false)) store(*slot, 0);
    }

private:
    static constexpr unsigned roots = 2, new_tables = 3, group = 32;

    static void store(u64& slot, u64 entry) { __atomic_store_n(&slot, entry, __ATOMIC_RELEASE); }

    /// Writing has to be noted first, also in the guest's entry.
    [[nodiscard]] u64 unless_noted(u64 entry) {
        const bool noted = (entry & pte::dirty) && (entry & pte::writable) && env_.is_noted(pte::frame(entry));
        return noted ? entry : entry & ~pte::writable;
    }

    /// The entries around one that is needed, as far as they have been used before: a TLB may know more than it was asked.
    template <class Rights> void prefetch(u64* made, const u64* guest, Rights rights) {
        const auto place = reinterpret_cast<u64>(guest) / sizeof(u64) % group;
        for (unsigned i = 0; i < group; ++i) {
            constexpr u64 wanted = pte::present | pte::user | pte::accessed;
            const u64 entry = __atomic_load_n(guest - place + i, __ATOMIC_RELAXED);
            u64& slot = *(made - place + i);
            if ((entry & wanted) == wanted && slot == 0) store(slot, unless_noted(rights(entry)));
        }
    }

    /// The entry of level 1; nullptr: there is no table for it, and none was to be made.
    [[nodiscard]] u64* find(bool user, u64 va, bool make) {
        u64* table = root(user);
        for (unsigned level = 4; level > 1; --level) {
            u64& slot = table[pte::index(va, level)];
            if (slot == 0) {
                if (!make) return nullptr;
                u64* const next = memory_ + pte::entries * used_++;
                std::fill_n(next, pte::entries, 0);
                store(slot, env_.entry_for(next));
                if (level == 4) env_.root_changed();
            }
            table = env_.table(slot);
        }
        return table + pte::index(va, 1);
    }

    Env& env_;
    u64* const memory_;
    const unsigned frames_;
    unsigned used_ = roots;
};

} // namespace streak::mm
