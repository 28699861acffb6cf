// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "arch/cpu.hpp"
#include "domain/domain.hpp"
#include "mm/boot_memory.hpp"
#include "mm/host_env.hpp"
#include "mm/host_page_table.hpp"
#include "tests/invariants/invariants.hpp"

// Every frame's references, counted anew from what refers to it. The rules are those of docs/page-types.md, and nothing
// of the code that keeps the counts is used.

namespace streak::invariants {

using mm::PageInfo;
using mm::PageType;
namespace pte = mm::pte;
namespace type_bits = mm::type_bits;
namespace count_bits = mm::count_bits;
namespace pt_progress = mm::pt_progress;

namespace {

constinit Expected* records = nullptr;

template <class F> void for_each_frame(F&& visit) {
    for (u64 frame = 0; frame < mm::frame_table_frames; ++frame) {
        if (!mm::has_page_info(Mfn(frame))) frame += mm::frames_per_chunk - 1;
        else if (mm::frame_is_ram(Mfn(frame))) visit(mm::page_of_unchecked(Mfn(frame)));
    }
}

[[nodiscard]] unsigned level_of(u64 word) { return static_cast<unsigned>(type_bits::type(word)); }
[[nodiscard]] bool is_hypervisor_slot(unsigned level, unsigned index) {
    return level == 4 && index >= arch::first_hypervisor_slot && index <= arch::last_hypervisor_slot;
}

/// Whose tables are looked at.
struct Owner {
    DomId id;
    bool devices, trusted;
};

[[nodiscard]] Owner owner_of(const PageInfo& table) {
    const auto domain = find_domain(table.owner_id());
    if (!domain) broken_frame(table, "a page table: a domain as owner expected, {} domains with that id found", 1, 0);
    const Domain& d = **domain;
    return {d.id, d.privileged || d.io_memory, d.privileged || d.subject.target != invalid_domid};
}

void count_l1_entry(const PageInfo& table, const Owner& owner, u64 entry) {
    if (!mm::frame_is_ram(pte::frame(entry))) {
        require_equal(table, "entries for device frames in a table of a domain without any", owner.devices, true);
        return;
    }
    const PageInfo& page = mm::page_of_unchecked(pte::frame(entry));
    Expected& e = expected(page);
    ++e.general;
    if (entry & pte::writable) {
        ++e.typed;
        e.uses |= 1u << static_cast<unsigned>(PageType::writable);
    }
    if (page.owner_id() == owner.id || owner.trusted) return;
    ++e.foreign;
    if (entry & pte::writable) ++e.foreign_rw;
}

void count_upper_entry(const PageInfo& table, unsigned level, u64 entry, bool whole) {
    require_equal(table, "entries with forbidden flags", 0, entry & pte::upper_forbidden);
    if (!mm::frame_is_ram(pte::frame(entry))) broken_frame(table, "entries for frames that are no RAM", 0, entry);
    const PageInfo& child = mm::page_of_unchecked(pte::frame(entry));
    if (&child == &table) {
        require(level == 4 && !(entry & pte::writable), table, "an entry for the table itself", 0, entry);
        return;
    }
    const u64 word = child.type.load();
    const bool linear = level == 4 && type_bits::type(word) == PageType::l4;
    if (linear) require_equal(table, "writable entries for an L4 table", 0, entry & pte::writable);
    hold(child, static_cast<PageType>(linear ? 4 : level - 1));
    if (!whole) return;
    require_equal(child, "used by a validated table: the owner's id", table.owner, child.owner);
    require(word & type_bits::validated, child, "used by a validated table: its type", type_bits::validated, word);
}

void count_entries(const PageInfo& table) {
    const u64 word = table.type.load();
    const unsigned level = level_of(word);
    const bool whole = word & type_bits::validated;
    require(whole != !!(word & type_bits::partial), table, "validated or partial, one of them", 1, word);
    if (!whole) require_equal(table, "references to a partial table", 1, type_bits::count(word));
    const unsigned end = whole ? pte::entries : table.progress & pt_progress::index_mask;
    const Owner owner = owner_of(table);
    const u64* const entries = mm::page_memory<const u64>(table);
    for (unsigned i = 0; i < pte::entries; ++i) {
        const u64 entry = __atomic_load_n(&entries[i], __ATOMIC_RELAXED);
        if (!(entry & pte::present) || is_hypervisor_slot(level, i)) continue;
        const bool half_done = !whole && i == end && (table.progress & pt_progress::child_owned);
        if (i >= end && !half_done) continue;
        if (!half_done) require(entry & pte::user, table, "entries without the user bit", 0, entry);
        if (level == 1) count_l1_entry(table, owner, entry);
        else count_upper_entry(table, level, entry, whole);
    }
}

/// The hypervisor's entries of every table that a guest may run on are the hypervisor's.
void check_hypervisor_slots(const PageInfo& l4) {
    const u64* const entries = mm::page_memory<const u64>(l4);
    const u64* const own = arch::direct_map<const u64>(mm::hypervisor_cr3());
    for (unsigned i = arch::first_hypervisor_slot; i <= arch::last_hypervisor_slot; ++i) {
        const u64 entry = entries[i] & ~pte::accessed, wanted = own[i] & ~pte::accessed;
        const bool hidden = i == arch::first_hypervisor_slot && entry == 0; // the M2P
        if (!hidden) require_equal(l4, "an entry of the hypervisor in an L4 table", wanted, entry);
    }
}

void compare_types(const PageInfo& page, const Expected& e) {
    const u64 word = page.type.load();
    require_equal(page, "references by type", e.typed, type_bits::count(word));
    require_equal(page, "changes of type under way", 0, word & type_bits::busy);
    if (e.typed == 0) {
        require_equal(page, "flags of an unused type", 0, word & ~type_bits::type_mask);
        return;
    }
    require_equal(page, "uses of the frame, a bit for each type", 1u << level_of(word), e.uses);
    if (!type_bits::is_table(word)) require_equal(page, "pins of what is no table", 0, word & type_bits::pinned);
}

void compare_owned(const PageInfo& page, const Expected& e) {
    const u64 count = page.count.load();
    require_equal(page, "unknown flags", 0,
                  count & ~(count_bits::mask | count_bits::allocated | count_bits::shared_heap));
    require_equal(page, "general references", e.general, count & count_bits::mask);
    require_equal(page, "its owner's list has the frame", !(count & count_bits::shared_heap), e.listed);
    require(e.foreign <= 0, page, "entries for a foreign frame that no grant allows", 0, static_cast<u64>(e.foreign));
    require(e.foreign_rw <= 0, page, "writable entries for a foreign frame that no grant allows", 0,
            static_cast<u64>(e.foreign_rw));
    compare_types(page, e);
}

void compare(const PageInfo& page) {
    const Expected& e = expected(page);
    const DomId owner = page.owner_id();
    if (owner == invalid_domid || (owner == xen_id && !(page.count.load() & count_bits::shared_heap))) {
        require_equal(page, "references to a frame of nobody", 0, e.general);
        require_equal(page, "it is free", owner == invalid_domid, e.free);
        if (owner == xen_id) require_equal(page, "the hypervisor's count", 0, page.count.load());
        require_equal(page, "the type of a frame of nobody", 0, page.type.load());
        return;
    }
    require_equal(page, "it is free", false, e.free);
    if (owner != xen_id) require(mm::account_of(owner), page, "an account of its owner", 1, 0);
    compare_owned(page, e);
}

} // namespace

void clear_expected() {
    const u64 bytes = mm::frame_table_frames * sizeof(Expected);
    if (!records) records = static_cast<Expected*>(mm::alloc_zeroed_pages(mm::order_for(bytes)));
    if (!records) panic("invariants: no memory for {} frames", mm::frame_table_frames);
    std::memset(records, 0, bytes);
}

Expected& expected(const PageInfo& page) { return records[mm::mfn_of(page).raw()]; }

void hold(const PageInfo& page, PageType as) {
    Expected& e = expected(page);
    ++e.general;
    ++e.typed;
    e.uses |= 1u << static_cast<unsigned>(as);
}

void hold_at(const void* memory, PageType as) {
    if (memory) hold(mm::page_of_unchecked(to_mfn(arch::direct_map_maddr(memory))), as);
}

void broken_frame(const PageInfo& page, const char* what, u64 wanted, u64 found) {
    log_emergency("frame {:#x} of {}, count {:#x}, type {:#x}, progress {:#x}", mm::mfn_of(page), page.owner,
                  page.count.load(), page.type.load(), page.progress);
    broken("{}: {:#x} expected, {:#x} found", what, wanted, found);
}

void count_tables() {
    for_each_frame([](const PageInfo& page) {
        const u64 count = page.count.load(), word = page.type.load();
        Expected& e = expected(page);
        if (count & count_bits::allocated) ++e.general;
        if (count & count_bits::shared_heap) { // a type reference that no guest can drop
            ++e.typed;
            e.uses |= 1u << level_of(word);
        }
        if (page.owner_id() == invalid_domid || type_bits::count(word) == 0 || !type_bits::is_table(word)) return;
        if (word & type_bits::pinned) hold(page, type_bits::type(word));
        count_entries(page);
        if (type_bits::type(word) == PageType::l4 && (word & type_bits::validated)) check_hypervisor_slots(page);
    });
}

void compare_frames() { for_each_frame(compare); }

} // namespace streak::invariants
