// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/locked_tables.hpp"
#include "mm/guest_walk.hpp"

// Grant mappings in a guest's L1 tables. An entry that maps a granted frame owns references as any other entry
// does: one general one, and a writable one when it may write. Mapping hands the caller's references to the
// entry; unmapping hands them back. An entry that the guest overwrote or tore down by other means has dropped
// them by itself, and unmapping fails with ENOENT: there is nothing left to drop.

namespace streak::pv {

/// Where the entry is: the machine address of the entry itself (GNTMAP_contains_pte), or the guest virtual
/// address it translates in the current kernel address space.
struct GrantPteAt {
    u64 address = 0;
    bool is_pte_address = false;
};

/// The L1 entry; the page lock is held.
[[nodiscard]] inline u64* find_grant_entry(Vcpu& mapper, GrantPteAt at) {
    if (!at.is_pte_address) return mm::find_l1_slot(mapper.cr3_kernel, Vaddr(at.address)).entry;
    mm::PageInfo* page = mm::HostEnv::page(to_mfn(Maddr(at.address)));
    if (!page || page->owner_id() != mapper.domain->id || at.address % sizeof(u64) != 0) return nullptr;
    const u64 word = page->type.load(std::memory_order_relaxed);
    if (mm::type_bits::type(word) != mm::PageType::l1 || !(word & mm::type_bits::validated)) return nullptr;
    return mm::HostEnv::entries(*page) + at.address % page_size / sizeof(u64);
}

[[nodiscard]] inline u64 exchange_entry(u64& slot, u64 entry) {
    const u64 old = __atomic_exchange_n(&slot, entry, __ATOMIC_RELAXED);
    mm::HostEnv::entry_written(slot, 0);
    return old;
}

[[nodiscard]] inline bool entry_maps(u64 entry, Mfn frame) {
    return (entry & mm::pte::present) && mm::pte::frame(entry) == frame;
}

/// Writes `entry`, a whole L1 entry that maps a granted frame. What was mapped there before is let go. On success the
/// caller's references (general, and writable if the entry is) belong to the entry. EINVAL: no such entry in an L1
/// table of the caller.
[[nodiscard]] inline Result<> map_grant_pte(Vcpu& mapper, GrantPteAt at, u64 entry) {
    LockedTables tables(*mapper.domain);
    u64* slot = find_grant_entry(mapper, at);
    if (unlikely(!slot)) return fail(Errno::EINVAL);
    if (const u64 old = exchange_entry(*slot, entry); old & mm::pte::present) tables->put_l1(old);
    return {};
}

/// Clears the entry. On success its references are the caller's, who drops them after the TLB flush it
/// owes (domain.dirty_cpus): put_page_and_type() when the value is true (the entry was writable), put_page()
/// when it is false; nothing for a device frame. (The guest may have given up the right to write meanwhile, so
/// only this value counts.) ENOENT: the entry maps something else; EINVAL: no such entry.
[[nodiscard]] inline Result<bool> unmap_grant_pte(Vcpu& mapper, GrantPteAt at, Mfn frame) {
    LockedTables tables(*mapper.domain);
    u64* slot = find_grant_entry(mapper, at);
    if (!slot) return fail(Errno::EINVAL);
    if (!entry_maps(__atomic_load_n(slot, __ATOMIC_RELAXED), frame)) return fail(Errno::ENOENT);
    return (exchange_entry(*slot, 0) & mm::pte::writable) != 0;
}

/// GNTTABOP_unmap_and_replace: the entry of `new_va` moves to where `at` is, leaving zero behind; otherwise
/// as unmap_grant_pte.
[[nodiscard]] inline Result<bool> replace_grant_pte(Vcpu& mapper, GrantPteAt at, u64 new_va, Mfn frame) {
    LockedTables tables(*mapper.domain);
    u64* slot = find_grant_entry(mapper, at);
    u64* source = mm::find_l1_slot(mapper.cr3_kernel, Vaddr(new_va)).entry;
    if (!slot || !source || slot == source) return fail(Errno::EINVAL);
    if (!entry_maps(__atomic_load_n(slot, __ATOMIC_RELAXED), frame)) return fail(Errno::ENOENT);
    // The moved entry takes its references along.
    return (exchange_entry(*slot, exchange_entry(*source, 0)) & mm::pte::writable) != 0;
}

} // namespace streak::pv
