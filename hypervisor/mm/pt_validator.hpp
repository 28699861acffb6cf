// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>

#include "mm/memory_map.hpp"
#include "mm/page_type_ops.hpp"
#include "mm/pte.hpp"

// Promotion of frames to page tables and back (docs/page-types.md).
//
// A table with a type count above zero is either *validated*, each present entry holding a reference of the
// right type to what it points at; or *partial*: exactly one reference exists, somebody owns it (a pin, an
// entry of the level above, a base pointer under way), entries [0, progress) hold references, and, with
// `child_owned`, entry number `progress` owns the one reference of a table that is itself partial. A partial
// table can go both ways: its owner completes it with finish() or undoes it with drop(); anybody else that
// wants a reference completes it first. So preemption needs no other memory than the frames themselves.
//
// Errors: ERESTART: out of budget, the caller owns the (partial) reference; EAGAIN: out of budget, the caller
// owns nothing. Everything here runs under the page lock of `domain`.

namespace streak::mm {

/// Whose tables these are and what they may contain.
struct TableRules {
    DomId domain{};
    bool devices = false;                    ///< may map I/O frames and choose cache attributes
    const DeviceFrames* io_memory = nullptr; ///< of them, only these; nullptr: all
};

namespace pt_progress {
inline constexpr u16 index_mask = 0x3ff;
inline constexpr u16 child_owned = 1u << 15;
inline constexpr u16 failed = 1u << 14; ///< contents were found bad: only undoing is left
} // namespace pt_progress

template <class Env> class PageTables {
public:
    static constexpr int l1_cost = 64, default_budget = 64 * l1_cost;
    static constexpr unsigned group_size = 8;

    PageTables(Env& env, TableRules rules, int budget = default_budget) : env_(env), rules_(rules), budget_(budget) {}

    void refill(int budget = default_budget) { budget_ = budget; }
    [[nodiscard]] Env& env() { return env_; }
    [[nodiscard]] const TableRules& rules() const { return rules_; }

    // ---- Type references to tables (the caller holds a general reference for each) ----

    /// A new reference to `page` as a table of `level`. EINVAL, ERESTART, EAGAIN.
    [[nodiscard]] Result<> take(PageInfo& page, unsigned level) {
        const u64 word = page.type.load(std::memory_order_relaxed);
        if (type_bits::count(word) == 0) return promote(page, level);
        if (unlikely(type_bits::type(word) != static_cast<PageType>(level))) return fail(Errno::EINVAL);
        if (!(word & type_bits::validated)) [[unlikely]]
            TRY(complete_for_others(page, level));
        page.type.store(page.type.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return {};
    }

    /// Completes a reference the caller owns. ERESTART: still owned; other errors: it is gone.
    [[nodiscard, gnu::noinline]] Result<> finish(PageInfo& page) {
        const u64 word = page.type.load(std::memory_order_relaxed);
        if (word & type_bits::validated) return {};
        return go_on(page, level_of(word));
    }

    /// Drops a reference the caller owns. ERESTART: still owned, partial now.
    [[nodiscard]] Result<> drop(PageInfo& page) {
        const u64 word = page.type.load(std::memory_order_relaxed);
        if (type_bits::count(word) > 1) [[likely]] {
            page.type.store(word - 1, std::memory_order_release);
            return {};
        }
        if (word & type_bits::validated) {
            page.progress = pte::entries;
            page.type.store((word & ~type_bits::validated) | type_bits::partial, std::memory_order_relaxed);
        }
        return undo(page, level_of(word));
    }

    // ---- Level 1 contents, also used by mm/pt_update.hpp ----

    [[nodiscard]] u64 l1_forbidden() const { return rules_.devices ? 0 : pte::cache_attributes; }

    /// References for a present entry that maps a frame of `frames_of`; false: it may not.
    [[nodiscard, gnu::always_inline]] bool get_l1(u64 entry, DomId frames_of) {
        PageInfo* page = env_.page(pte::frame(entry));
        if (unlikely(!page)) return may_map_device(entry, frames_of);
        if (unlikely(!take_reference(env_, *page, frames_of))) return false;
        if ((entry & pte::writable) && !take_shared_type(env_, *page, PageType::writable)) [[unlikely]] {
            env_.put_page(*page);
            return false;
        }
        return true;
    }

    [[gnu::always_inline]] void put_l1(u64 entry) {
        PageInfo* page = env_.page(pte::frame(entry));
        if (unlikely(!page)) return;
        if (entry & pte::writable) drop_shared_type(env_, *page);
        env_.put_page(*page);
    }

    // ---- Contents of levels 2 to 4 ----

    [[nodiscard]] static constexpr bool is_hypervisor_slot(unsigned level, unsigned index) {
        return level == 4 && index >= arch::first_hypervisor_slot && index <= arch::last_hypervisor_slot;
    }

    /// References for a present entry of `table`. ERESTART: taken, but partial; EAGAIN, EINVAL: none.
    [[nodiscard, gnu::noinline]] Result<> get_child(PageInfo& table, unsigned level, u64 entry) {
        PageInfo* child = env_.page(pte::frame(entry));
        if (unlikely((entry & pte::upper_forbidden) || !child)) return fail(Errno::EINVAL);
        if (unlikely(level == 4 && is_linear(*child))) return get_linear(table, *child, entry);
        if (unlikely(!take_reference(env_, *child, rules_.domain))) return fail(Errno::EINVAL);
        const Result<> taken = take(*child, level - 1);
        if (!taken && taken.error() != Errno::ERESTART) env_.put_page(*child);
        return taken;
    }

    /// Lets go what a present entry of `table` points at. ERESTART: the entry owns a partial reference.
    [[nodiscard]] Result<> put_child(PageInfo& table, u64 entry) {
        PageInfo& child = *env_.page(pte::frame(entry));
        if (&child == &table) return {};
        TRY(drop(child));
        env_.put_page(child);
        return {};
    }

    /// Is this frame in use as an L4 table, so that an L4 entry to it makes a linear page table?
    [[nodiscard]] static bool is_linear(const PageInfo& page) {
        const u64 word = page.type.load(std::memory_order_relaxed);
        return type_bits::type(word) == PageType::l4 && type_bits::count(word) != 0;
    }

private:
    [[nodiscard]] static unsigned level_of(u64 word) { return static_cast<unsigned>(type_bits::type(word)); }
    [[nodiscard]] static bool over(const Result<>& r) { return !r && r.error() == Errno::ERESTART; }

    [[nodiscard]] static u64 load(const u64& slot) { return __atomic_load_n(&slot, __ATOMIC_RELAXED); }
    static void store(u64& slot, u64 entry) { __atomic_store_n(&slot, entry, __ATOMIC_RELAXED); }

    void spend(int cost) { budget_ -= cost; }
    [[nodiscard]] bool exhausted() const { return budget_ <= 0; }

    [[nodiscard, gnu::noinline]] bool may_map_device(u64 entry, DomId frames_of) {
        const bool own = frames_of == rules_.domain || frames_of == io_id;
        const u64 frame = pte::frame(entry).raw();
        return rules_.devices && own && env_.device_frame_allowed(Mfn(frame)) &&
               (!rules_.io_memory || std::ranges::any_of(*rules_.io_memory, [&](const FrameRange& f) {
                   return f.first <= frame && frame < f.end;
               }));
    }

    [[nodiscard, gnu::noinline]] Result<> promote(PageInfo& page, unsigned level) {
        if (!begin_table(env_, page, static_cast<PageType>(level))) return fail(Errno::EINVAL);
        page.type.store(page.type.load(std::memory_order_relaxed) | type_bits::partial, std::memory_order_relaxed);
        return go_on(page, level);
    }

    /// The owner of a partial table goes on: validation, or undoing once the contents were found bad.
    [[nodiscard, gnu::noinline]] Result<> go_on(PageInfo& page, unsigned level) {
        if (!(page.progress & pt_progress::failed)) {
            const Result<> valid = validate(page, level);
            if (valid || over(valid)) return valid;
            page.progress |= pt_progress::failed;
        }
        TRY(undo(page, level));
        return fail(Errno::EINVAL);
    }

    /// Somebody who doesn't own the only reference needs the table validated.
    [[nodiscard, gnu::noinline]] Result<> complete_for_others(PageInfo& page, unsigned level) {
        if (!(page.type.load(std::memory_order_relaxed) & type_bits::partial) || (page.progress & pt_progress::failed))
            return fail(Errno::EINVAL);
        const Result<> valid = validate(page, level);
        return over(valid) ? fail(Errno::EAGAIN) : valid;
    }

    /// Validates from `progress` on and marks the table so. On an error `progress` is where it stopped.
    [[nodiscard]] Result<> validate(PageInfo& page, unsigned level) {
        TRY(level == 1 ? validate_l1(page) : validate_upper(page, level));
        if (level == 4) {
            env_.install_hypervisor_slots(env_.entries(page));
            env_.l4_changed(page); // copies of what the frame held in an earlier life end here
        }
        env_.entry_written(*env_.entries(page), 0);
        page.progress = 0;
        const u64 word = page.type.load(std::memory_order_relaxed);
        page.type.store((word & ~type_bits::partial) | type_bits::validated, std::memory_order_release);
        return {};
    }

    /// Is there nothing in eight entries? Most L1 tables are sparse.
    [[nodiscard]] static bool group_is_empty(const u64* group) {
        u64 any = 0;
#pragma GCC unroll 8
        for (unsigned i = 0; i < group_size; ++i) any |= load(group[i]);
        return !(any & pte::present);
    }

    /// L1 tables are never left half-way: this starts at entry 0.
    [[nodiscard, gnu::noinline]] Result<> validate_l1(PageInfo& page) {
        u64* const table = env_.entries(page);
        spend(l1_cost);
        for (unsigned first = 0; first < pte::entries; first += group_size) {
            if (group_is_empty(table + first)) continue;
            const unsigned valid = validate_group(table + first);
            if (valid != group_size) [[unlikely]] {
                page.progress = static_cast<u16>(first + valid);
                return fail(Errno::EINVAL);
            }
        }
        return {};
    }

    /// How many entries of a group are good; those hold references.
    [[nodiscard, gnu::always_inline]] unsigned validate_group(u64* group) {
        const u64 forbidden = l1_forbidden();
        const DomId domain = rules_.domain;
        for (unsigned i = 0; i < group_size; ++i) {
            const u64 entry = load(group[i]);
            if (!(entry & pte::present)) continue;
            if (unlikely((entry & forbidden) || !get_l1(entry, domain))) return i;
            // Guests run without global pages: kernel and user mode are both ring 3, on tables of their own.
            if ((entry & (pte::user | pte::global)) != pte::user) store(group[i], (entry | pte::user) & ~pte::global);
        }
        return group_size;
    }

    [[nodiscard, gnu::noinline]] Result<> validate_upper(PageInfo& page, unsigned level) {
        u64* const table = env_.entries(page);
        for (unsigned i = page.progress & pt_progress::index_mask; i < pte::entries; ++i) {
            const u64 entry = load(table[i]);
            if (!(entry & pte::present) || is_hypervisor_slot(level, i)) continue;
            const bool owned = page.progress & pt_progress::child_owned;
            if (const Result<> got = owned ? finish_child(entry) : get_child(page, level, entry); !got)
                return stop(page, i, got.error());
            if (!(entry & pte::user)) store(table[i], entry | pte::user);
            spend(1);
            page.progress = static_cast<u16>(i + 1);
            if (exhausted() && i + 1 < pte::entries) return fail(Errno::ERESTART);
        }
        return {};
    }

    /// Validation can't pass entry `index` now.
    [[nodiscard]] Result<> stop(PageInfo& page, unsigned index, Errno error) {
        page.progress = static_cast<u16>(index | (error == Errno::ERESTART ? pt_progress::child_owned : 0));
        return fail(error == Errno::EAGAIN ? Errno::ERESTART : error);
    }

    [[nodiscard]] Result<> finish_child(u64 entry) {
        PageInfo& child = *env_.page(pte::frame(entry));
        const Result<> finished = finish(child);
        if (!finished && finished.error() != Errno::ERESTART) env_.put_page(child);
        return finished;
    }

    /// Takes back the references of a partial table's entries from `progress` down to 0, then the type.
    [[nodiscard, gnu::noinline]] Result<> undo(PageInfo& page, unsigned level) {
        if (level == 1) undo_l1(page);
        else TRY(undo_upper(page, level));
        end_table(env_, page);
        env_.entry_written(*env_.entries(page), 0); // dirty as what it was
        return {};
    }

    [[gnu::noinline]] void undo_l1(PageInfo& page) {
        const u64* const table = env_.entries(page);
        const unsigned end = page.progress & pt_progress::index_mask;
        spend(l1_cost);
        for (unsigned i = 0; i < end; ++i) {
            if (i % group_size == 0 && group_is_empty(table + i)) {
                i += group_size - 1;
                continue;
            }
            if (const u64 entry = load(table[i]); entry & pte::present) put_l1(entry);
        }
    }

    [[nodiscard, gnu::noinline]] Result<> undo_upper(PageInfo& page, unsigned level) {
        const u64* const table = env_.entries(page);
        const u16 failed = page.progress & pt_progress::failed;
        unsigned i = page.progress & pt_progress::index_mask;
        if (page.progress & pt_progress::child_owned) ++i;
        while (i-- > 0) {
            const u64 entry = load(table[i]);
            if (!(entry & pte::present) || is_hypervisor_slot(level, i)) continue;
            if (!put_child(page, entry)) {
                page.progress = static_cast<u16>(i | pt_progress::child_owned | failed);
                return fail(Errno::ERESTART);
            }
            spend(1);
            page.progress = static_cast<u16>(i | failed);
            if (exhausted() && i > 0) return fail(Errno::ERESTART);
        }
        return {};
    }

    /// A read-only L4 entry to an L4 table: itself (no references), or another validated one, which must not
    /// have such entries itself, so that there are no cycles.
    [[nodiscard, gnu::noinline]] Result<> get_linear(PageInfo& table, PageInfo& target, u64 entry) {
        if (entry & pte::writable) return fail(Errno::EINVAL);
        if (&table == &target) return {};
        const u64 from = table.type.load(std::memory_order_relaxed);
        const u64 to = target.type.load(std::memory_order_relaxed);
        if (!(to & type_bits::validated) || (to & type_bits::linear_source) || (from & type_bits::linear_target) ||
            !take_reference(env_, target, rules_.domain))
            return fail(Errno::EINVAL);
        table.type.store(from | type_bits::linear_source, std::memory_order_relaxed);
        target.type.store((to | type_bits::linear_target) + 1, std::memory_order_relaxed);
        return {};
    }

    Env& env_;
    TableRules rules_;
    int budget_;
};

} // namespace streak::mm
