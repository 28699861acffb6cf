// SPDX-License-Identifier: GPL-2.0-only
#include "mm/grant_pte.hpp"

#include "domain/locked_tables.hpp"
#include "mm/guest_walk.hpp"

namespace streak::mm {

namespace {

/// The L1 entry; the page lock is held.
u64* find_entry(Vcpu& mapper, GrantPteAt at) {
    if (!at.is_pte_address) return find_l1_slot(mapper.cr3_kernel, Vaddr(at.address)).entry;
    PageInfo* page = HostEnv::page(to_mfn(Maddr(at.address)));
    if (!page || page->owner_id() != mapper.domain->id || at.address % sizeof(u64) != 0) return nullptr;
    const u64 word = page->type.load(std::memory_order_relaxed);
    if (type_bits::type(word) != PageType::l1 || !(word & type_bits::validated)) return nullptr;
    return HostEnv::entries(*page) + at.address % page_size / sizeof(u64);
}

u64 exchange(u64& slot, u64 entry) { return __atomic_exchange_n(&slot, entry, __ATOMIC_RELAXED); }

bool maps(u64 entry, Mfn frame) { return (entry & pte::present) && pte::frame(entry) == frame; }

} // namespace

Result<> map_grant_pte(Vcpu& mapper, GrantPteAt at, const GrantMapping& mapping) {
    constexpr u64 allowed = pte::available | pte::available_high | pte::cache_attributes | pte::no_execute;
    const u64 flags = pte::present | pte::user | pte::accessed | (mapping.extra_bits & allowed) |
                      (mapping.writable ? pte::writable | pte::dirty : 0);
    LockedTables tables(*mapper.domain);
    u64* slot = find_entry(mapper, at);
    if (!slot) return fail(Errno::EINVAL);
    if (const u64 old = exchange(*slot, pte::make(mapping.frame, flags)); old & pte::present) tables->put_l1(old);
    return {};
}

Result<bool> unmap_grant_pte(Vcpu& mapper, GrantPteAt at, Mfn frame) {
    LockedTables tables(*mapper.domain);
    u64* slot = find_entry(mapper, at);
    if (!slot) return fail(Errno::EINVAL);
    if (!maps(__atomic_load_n(slot, __ATOMIC_RELAXED), frame)) return fail(Errno::ENOENT);
    return (exchange(*slot, 0) & pte::writable) != 0;
}

Result<bool> replace_grant_pte(Vcpu& mapper, GrantPteAt at, u64 new_va, Mfn frame) {
    LockedTables tables(*mapper.domain);
    u64* slot = find_entry(mapper, at);
    u64* source = find_l1_slot(mapper.cr3_kernel, Vaddr(new_va)).entry;
    if (!slot || !source || slot == source) return fail(Errno::EINVAL);
    if (!maps(__atomic_load_n(slot, __ATOMIC_RELAXED), frame)) return fail(Errno::ENOENT);
    // The moved entry takes its references along.
    return (exchange(*slot, exchange(*source, 0)) & pte::writable) != 0;
}

} // namespace streak::mm
