// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <utility>

#include "mm/pt_validator.hpp"

// Operations on validated tables: pins, references with a place to keep an unfinished one, and changes of
// single entries. All under the page lock.

namespace streak::mm {

/// A table whose one (partial) type reference, with a general one, has no other place: a base pointer or an
/// entry under way. One for each vCPU; whoever finds one there completes or undoes it first.
using OwedTable = PageInfo*;

template <class Env> class TableUpdater : public PageTables<Env> {
    using Base = PageTables<Env>;

public:
    using Base::Base;

    /// Takes what is owed back to nothing. ERESTART.
    [[nodiscard]] Result<> settle(OwedTable& owed) {
        if (likely(!owed)) return {};
        TRY(this->drop(*owed));
        this->env().put_page(*std::exchange(owed, nullptr));
        return {};
    }

    /// General and type references to a table of this domain. ERESTART: `owed` keeps the progress.
    [[nodiscard, gnu::noinline]] Result<> acquire(PageInfo& page, unsigned level, OwedTable& owed) {
        if (owed) [[unlikely]] {
            if (owed == &page && type_bits::type(page.type) == static_cast<PageType>(level)) return finish_owed(owed);
            TRY(settle(owed));
        }
        if (unlikely(!take_reference(this->env(), page, this->rules().domain))) return fail(Errno::EINVAL);
        const Result<> taken = this->take(page, level);
        if (unlikely(!taken)) return keep_or_put(page, owed, taken.error());
        return {};
    }

    /// Drops such references; what can't be done within the budget is owed. `owed` is empty before.
    [[gnu::noinline]] void release(PageInfo& page, OwedTable& owed) {
        if (likely(this->drop(page))) this->env().put_page(page);
        else owed = &page;
    }

    /// MMUEXT_PIN_Ln_TABLE. A pinned table that is partial is what an earlier call left. EINVAL, ERESTART.
    [[nodiscard, gnu::noinline]] Result<> pin(PageInfo& page, unsigned level) {
        const u64 word = page.type.load(std::memory_order_relaxed);
        if (word & type_bits::pinned) return pin_again(page, level, word);
        if (!take_reference(this->env(), page, this->rules().domain)) return fail(Errno::EINVAL);
        const Result<> taken = this->take(page, level);
        if (taken || taken.error() == Errno::ERESTART) {
            page.type.fetch_or(type_bits::pinned, std::memory_order_relaxed);
            return taken;
        }
        this->env().put_page(page);
        return taken.error() == Errno::EAGAIN ? fail(Errno::ERESTART) : taken;
    }

    /// MMUEXT_UNPIN_TABLE. The pin stays, and owns the partial table, until all is undone. EINVAL, ERESTART.
    [[nodiscard, gnu::noinline]] Result<> unpin(PageInfo& page) {
        const u64 word = page.type.load(std::memory_order_relaxed);
        if (!(word & type_bits::pinned) || page.owner_id() != this->rules().domain) return fail(Errno::EINVAL);
        if (type_bits::count(word) > 1) page.type.store((word & ~type_bits::pinned) - 1, std::memory_order_release);
        else TRY(this->drop(page));
        this->env().put_page(page);
        return {};
    }

    // ---- Entries ----

    /// Writes an entry of a validated L1 table. `write(slot, old, entry)` stores it and says whether it did; it
    /// sees the processor's accessed and dirty bits change at any time. The frame must belong to `frames_of`.
    /// EINVAL; EAGAIN: `write` declined.
    template <class Write>
    [[nodiscard, gnu::always_inline]] Result<> change_l1(u64& slot, u64 entry, DomId frames_of, Write&& write) {
        const u64 old = __atomic_load_n(&slot, __ATOMIC_RELAXED);
        if (entry & pte::present) {
            if (unlikely(entry & this->l1_forbidden())) return fail(Errno::EINVAL);
            entry = (entry | pte::user) & ~pte::global;
            if ((old & pte::present) && pte::same_frame(old, entry))
                return change_access(slot, old, entry, frames_of, write);
            if (unlikely(!this->get_l1(entry, frames_of))) return fail(Errno::EINVAL);
        }
        if (!write(slot, old, entry)) [[unlikely]] {
            if (entry & pte::present) this->put_l1(entry);
            return fail(Errno::EAGAIN);
        }
        this->env().entry_written(slot, entry);
        if (old & pte::present) this->put_l1(old);
        return {};
    }

    /// Writes an entry of a validated table of level 2 to 4. EINVAL; ERESTART: see acquire(); and `owed` may
    /// hold the former table afterwards.
    template <class Write>
    [[nodiscard]] Result<> change_upper(PageInfo& table, unsigned index, u64 entry, Write&& write, OwedTable& owed) {
        const u64 word = table.type.load(std::memory_order_relaxed);
        const unsigned level = static_cast<unsigned>(type_bits::type(word));
        u64& slot = this->env().entries(table)[index];
        const u64 old = __atomic_load_n(&slot, __ATOMIC_RELAXED);
        if (this->is_hypervisor_slot(level, index)) return fail(Errno::EINVAL);
        if (entry & pte::present) {
            entry |= pte::user;
            TRY(get_upper(table, level, entry, owed));
        } else {
            TRY(settle(owed));
        }
        const bool written = write(slot, old, entry);
        this->env().entry_written(slot, 0);
        if (level == 4) this->env().l4_changed(table);
        const u64 gone = written ? old : entry;
        if (gone & pte::present) put_upper(table, gone, owed);
        return written ? Result<>{} : fail(Errno::EAGAIN);
    }

private:
    [[nodiscard, gnu::noinline]] Result<> finish_owed(OwedTable& owed) {
        const Result<> finished = this->finish(*owed);
        if (!finished && finished.error() == Errno::ERESTART) return finished;
        PageInfo& page = *std::exchange(owed, nullptr);
        if (!finished) this->env().put_page(page);
        return finished;
    }

    [[nodiscard, gnu::noinline]] Result<> keep_or_put(PageInfo& page, OwedTable& owed, Errno error) {
        if (error == Errno::ERESTART) owed = &page;
        else this->env().put_page(page);
        return fail(error == Errno::EAGAIN ? Errno::ERESTART : error);
    }

    [[nodiscard, gnu::noinline]] Result<> pin_again(PageInfo& page, unsigned level, u64 word) {
        if (page.owner_id() != this->rules().domain || type_bits::type(word) != static_cast<PageType>(level) ||
            !(word & type_bits::partial))
            return fail(Errno::EINVAL);
        const Result<> finished = this->finish(page);
        if (!finished && finished.error() != Errno::ERESTART)
            this->env().put_page(page); // the last type reference took the pin with it
        return finished;
    }

    /// The same frame with other rights or attributes.
    template <class Write> [[nodiscard, gnu::always_inline]] Result<> change_access(u64& slot, u64 old, u64 entry,
                                                                                    DomId frames_of, Write&& write) {
        const bool more = (entry & ~old) & pte::writable, less = (old & ~entry) & pte::writable;
        PageInfo* page = more || less ? this->env().page(pte::frame(entry)) : nullptr;
        if (page && more &&
            (page->owner_id() != frames_of || !take_shared_type(this->env(), *page, PageType::writable)))
            return fail(Errno::EINVAL);
        const bool written = write(slot, old, entry);
        this->env().entry_written(slot, entry);
        if (page && (written ? less : more)) drop_shared_type(this->env(), *page);
        return written ? Result<>{} : fail(Errno::EAGAIN);
    }

    [[nodiscard, gnu::noinline]] Result<> get_upper(PageInfo& table, unsigned level, u64 entry, OwedTable& owed) {
        PageInfo* child = this->env().page(pte::frame(entry));
        if ((entry & pte::upper_forbidden) || !child) return fail(Errno::EINVAL);
        if (level != 4 || !this->is_linear(*child)) return acquire(*child, level - 1, owed);
        TRY(settle(owed));
        return this->get_child(table, level, entry);
    }

    [[gnu::noinline]] void put_upper(PageInfo& table, u64 entry, OwedTable& owed) {
        PageInfo& child = *this->env().page(pte::frame(entry));
        if (&child != &table) release(child, owed);
    }
};

} // namespace streak::mm
