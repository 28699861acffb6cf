// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "mm/descriptor_check.hpp"
#include "mm/pt_update.hpp"
#include "require.hpp"

// A small machine whose domains use page tables every way the interface allows, and what all its references must come
// to. tests/unit/mm_page_types.cpp and tests/fuzz/page_types.cpp choose what happens.

namespace streak::page_types_test {

using namespace streak::mm;
using test::require;

inline constexpr unsigned frame_count = 40;
inline constexpr u64 first_mfn = 0x100;
inline constexpr DomId guest{1}, other{2};

/// A machine of forty frames. Frame numbers outside are device space.
struct FakeMachine {
    std::vector<PageInfo> pages = std::vector<PageInfo>(frame_count);
    std::vector<std::array<u64, 512>> memory = std::vector<std::array<u64, 512>>(frame_count);
    u32 clock = 1;
    unsigned flushes = 0, l4_changes = 0;
    /// What other CPUs do while an operation is under way here.
    std::function<void()> meanwhile;
    bool loses_a_put = false; ///< a mistake, to be noticed

    PageInfo* find(Mfn mfn) {
        const u64 i = mfn.raw() - first_mfn;
        return i < frame_count ? &pages[i] : nullptr;
    }
    PageInfo* page(Mfn mfn) {
        others_run();
        return find(mfn);
    }
    unsigned index(const PageInfo& p) const { return static_cast<unsigned>(&p - pages.data()); }
    Mfn mfn(const PageInfo& p) const { return Mfn(first_mfn + index(p)); }
    u64* entries(const PageInfo& p) { return memory[index(p)].data(); }
    void put_page(PageInfo& p) {
        others_run();
        if (std::exchange(loses_a_put, false)) return;
        const u64 before = p.count.fetch_sub(1);
        require((before & count_bits::mask) != 0);
        if ((before & count_bits::mask) != 1) return;
        require((p.type.load() & type_bits::count_mask) == 0 && !(p.type.load() & type_bits::pinned));
        p.count = 0;
        p.type = 0;
        p.owner = invalid_domid.raw();
        p.progress = 0;
    }
    u32 stamp() {
        others_run();
        return clock++;
    }
    void l4_changed(const PageInfo& p) {
        require(type_bits::type(p.type) == PageType::l4);
        ++l4_changes;
    }
    void entry_written(const u64&, u64) { others_run(); }
    void flush_stale(const PageInfo&) {
        others_run();
        ++flushes;
    }
    void wait() {}
    bool descriptors_ok(const PageInfo& p) {
        for (u64& d : memory[index(p)])
            if (!fix_descriptor(d)) return false;
        return true;
    }
    bool device_frame_allowed(Mfn m) { return m.raw() == 0xfee; }
    void install_hypervisor_slots(u64* l4) {
        for (unsigned i = 256; i <= 271; ++i) l4[i] = 0xabc000 | pte::present;
    }

    PageInfo& allocate(unsigned i, DomId owner) {
        pages[i].owner = owner.raw();
        pages[i].type = 0;
        pages[i].count = count_bits::allocated | 1;
        return pages[i];
    }
    u64 entry(unsigned frame, u64 flags) const { return pte::make(Mfn(first_mfn + frame), flags); }

private:
    void others_run() {
        if (!meanwhile || inside_) return;
        inside_ = true;
        meanwhile();
        inside_ = false;
    }
    bool inside_ = false;
};

using Tables = TableUpdater<FakeMachine>;

/// Recounts all references from the contents of memory alone, and compares.
struct Oracle {
    FakeMachine& m;
    std::vector<u64> general = std::vector<u64>(frame_count), typed = std::vector<u64>(frame_count);

    void hold(const PageInfo* p) { ++general[m.index(*p)], ++typed[m.index(*p)]; }

    /// A frame that a guest can write is nothing else.
    void count_leaf(u64 e) {
        const PageInfo* p = m.find(pte::frame(e));
        if (!p) return;
        ++general[m.index(*p)];
        if (!(e & pte::writable)) return;
        ++typed[m.index(*p)];
        require(type_bits::type(p->type) == PageType::writable);
    }

    void count_entry(const PageInfo& table, unsigned level, u64 e) {
        if (level == 1) return count_leaf(e);
        const PageInfo* p = m.find(pte::frame(e));
        if (p && p != &table) hold(p);
    }

    [[nodiscard]] bool maps_other_l4(const PageInfo& l4) {
        const u64* t = m.entries(l4);
        for (unsigned i = 0; i < 512; ++i) {
            if (!(t[i] & pte::present) || Tables::is_hypervisor_slot(4, i)) continue;
            const PageInfo* p = m.find(pte::frame(t[i]));
            if (p && p != &l4 && type_bits::type(p->type) == PageType::l4) return true;
        }
        return false;
    }

    void check_entry(const PageInfo& table, unsigned level, u64 e) {
        require((e & pte::user) != 0);
        if (level == 1) return require((e & pte::global) == 0);
        const PageInfo* p = m.find(pte::frame(e));
        require(p && (e & pte::upper_forbidden) == 0);
        require((p->type & type_bits::validated) != 0 && p->owner == table.owner);
        if (type_bits::type(p->type) == PageType::l4) // a linear page table, without cycles and chains
            require(level == 4 && !(e & pte::writable) && (p == &table || !maps_other_l4(*p)));
        else require(type_bits::type(p->type) == static_cast<PageType>(level - 1));
    }

    void count_table(const PageInfo& p) {
        const u64 word = p.type;
        const unsigned level = static_cast<unsigned>(type_bits::type(word));
        const bool whole = word & type_bits::validated;
        require(whole != bool(word & type_bits::partial));
        if (!whole) require(type_bits::count(word) == 1);
        const unsigned end = whole ? 512 : p.progress & pt_progress::index_mask;
        const u64* t = m.entries(p);
        for (unsigned i = 0; i < 512; ++i) {
            if (!(t[i] & pte::present) || Tables::is_hypervisor_slot(level, i)) continue;
            const bool owned = !whole && i == end && (p.progress & pt_progress::child_owned);
            if (i < end || owned) count_entry(p, level, t[i]);
            if (i < end && whole) check_entry(p, level, t[i]);
        }
    }

    void check_descriptors(const PageInfo& p) {
        for (u64 d : m.memory[m.index(p)]) {
            const u64 was = d;
            require(fix_descriptor(d) && d == was);
        }
    }

    void check() {
        for (PageInfo& p : m.pages) {
            const u64 word = p.type;
            require((word & type_bits::busy) == 0);
            if (p.count & count_bits::allocated) ++general[m.index(p)];
            if (word & type_bits::pinned) hold(&p);
            if (type_bits::count(word) == 0) continue;
            if (type_bits::is_table(word)) count_table(p);
            else if (type_bits::type(word) == PageType::segment_descriptor) check_descriptors(p);
        }
        for (unsigned i = 0; i < frame_count; ++i) {
            require((m.pages[i].count & count_bits::mask) == general[i]);
            require((m.pages[i].type & type_bits::count_mask) == typed[i]);
        }
    }
};

/// One of the domains.
struct Guest {
    DomId id;
    std::array<PageInfo*, 2> owed{};  ///< of its vCPUs
    std::array<PageInfo*, 4> bases{}; ///< base pointers
    bool dying = false;
};

/// Two domains, of which `pick(n)` decides what they do.
struct World {
    FakeMachine m;
    std::function<unsigned(unsigned)> pick;
    std::array<Guest, 2> guests{{{guest}, {other}}};
    std::vector<PageInfo*> mapped_elsewhere; ///< references held without a lock (grants, descriptor tables)

    /// The last `others` frames belong to the second domain.
    explicit World(std::function<unsigned(unsigned)> choose, unsigned others = 4) : pick(std::move(choose)) {
        for (unsigned i = 0; i < frame_count; ++i) m.allocate(i, i < frame_count - others ? guest : other);
    }

    [[nodiscard]] Guest& some_guest() { return guests[pick(8) == 7]; }
    [[nodiscard]] PageInfo& some_page() { return m.pages[pick(frame_count)]; }
    [[nodiscard]] Tables tables(const Guest& g) {
        static const DeviceFrames none{};
        const unsigned rights = pick(4);
        return Tables(m, {g.id, rights >= 2, rights == 3 ? &none : nullptr},
                      pick(4) == 0 ? Tables::default_budget : 1 + int(pick(100)));
    }

    unsigned slot() {
        static constexpr unsigned slots[] = {0, 1, 2, 255, 256, 260, 271, 272, 511};
        return slots[pick(std::size(slots))];
    }
    u64 entry() {
        u64 flags = pick(8) ? pte::present : 0;
        if (pick(2)) flags |= pte::writable;
        if (pick(2)) flags |= pte::user;
        if (pick(3) == 0) flags |= pte::accessed | pte::dirty;
        switch (pick(40)) {
        case 1: flags |= pte::large; break;
        case 2: flags |= pte::global; break;
        case 3: return pte::make(Mfn(0xfee), flags);
        case 4: return pte::make(Mfn(0xdead), flags);
        }
        return m.entry(pick(frame_count), flags);
    }

    void check() {
        Oracle oracle{m};
        for (const Guest& g : guests) {
            for (PageInfo* p : g.owed)
                if (p) oracle.hold(p);
            for (PageInfo* p : g.bases)
                if (p) oracle.hold(p);
        }
        for (PageInfo* p : mapped_elsewhere) oracle.hold(p);
        oracle.check();
    }

    /// A guest writes its memory where it may.
    void scribble() {
        PageInfo& p = some_page();
        if (type_bits::count(p.type) != 0 && type_bits::type(p.type) != PageType::writable) return;
        if (pick(3) == 0) m.entries(p)[slot()] = entry();
        else // something like a page table, so that some promotions succeed
            m.entries(p)[slot()] = m.entry(pick(frame_count), pte::present | (pick(3) ? 0 : pte::writable));
    }

    void change(Guest& g) {
        PageInfo& p = some_page();
        const u64 word = p.type;
        if (!(word & type_bits::validated) || p.owner != g.id.raw()) return;
        auto t = tables(g);
        const bool declines = pick(5) == 4;
        auto write = [&](u64& s, u64, u64 e) { return declines ? false : (s = e, true); };
        const u64 e = entry();
        if (type_bits::type(word) == PageType::l1)
            (void)t.change_l1(m.entries(p)[slot()], e, pick(6) != 5 ? g.id : other, write);
        else (void)t.change_upper(p, slot(), e, write, g.owed[pick(2)]);
    }

    void switch_base(Guest& g) {
        auto t = tables(g);
        PageInfo*& o = g.owed[pick(2)];
        PageInfo*& base = g.bases[pick(4)];
        if (base && pick(2)) {
            if (!t.settle(o)) return;
            t.release(*std::exchange(base, nullptr), o);
            return;
        }
        PageInfo& p = pick(3) || !o ? some_page() : *o;
        if (!t.acquire(p, 4, o)) return;
        if (PageInfo* old = std::exchange(base, &p)) t.release(*old, o);
    }

    void let_go_elsewhere() {
        PageInfo* p = mapped_elsewhere.back();
        mapped_elsewhere.pop_back();
        drop_shared_type(m, *p);
        m.put_page(*p);
    }

    void grants() {
        if (!mapped_elsewhere.empty() && pick(2)) return let_go_elsewhere();
        PageInfo& p = some_page();
        if ((p.type & type_bits::busy) || !take_reference(m, p, guests[pick(8) == 7].id)) return;
        if (take_shared_type(m, p, pick(4) ? PageType::writable : PageType::segment_descriptor))
            mapped_elsewhere.push_back(&p);
        else m.put_page(p);
    }

    void balloon() {
        PageInfo& p = some_page();
        if (p.count & count_bits::allocated && pick(4) == 0) {
            p.count.fetch_and(~count_bits::allocated);
            m.put_page(p);
        } else if (p.count == 0) {
            const Guest& g = guests[pick(8) == 7];
            if (!g.dying) m.allocate(m.index(p), g.id);
        }
    }

    /// The processor notes that it used an entry.
    void use_entry() {
        PageInfo& p = some_page();
        u64& e = m.entries(p)[slot()];
        if ((p.type & type_bits::validated) && (e & pte::present)) e |= pte::accessed_dirty;
    }

    /// What needs no page lock, so that it can happen in the middle of everything else.
    void step_without_lock() {
        switch (pick(4)) {
        case 0: return use_entry();
        case 1: return scribble();
        case 2: return grants();
        case 3: return balloon();
        }
    }

    void step() {
        Guest& g = some_guest();
        if (g.dying) return (void)die(g);
        auto t = tables(g);
        PageInfo& p = some_page();
        switch (pick(12)) {
        case 0:
        case 1: (void)t.pin(p, 1 + pick(4)); break;
        case 2: (void)t.pin(p, 1); break;
        case 3: (void)t.unpin(p); break;
        case 4:
        case 5: scribble(); break;
        case 6:
        case 7: change(g); break;
        case 8: switch_base(g); break;
        case 9: grants(); break;
        case 10: balloon(); break;
        case 11: (void)t.settle(g.owed[pick(2)]); break;
        }
    }

    /// Goes on ending every use that a dying domain makes of its frames, until it is preempted. True when nothing is left to
    /// do: frames that others hold stay.
    bool die(Guest& g) {
        g.dying = true;
        Tables t(m, {g.id}, 1);
        for (PageInfo*& o : g.owed)
            if (!t.settle(o)) return false;
        for (PageInfo*& b : g.bases)
            if (b) {
                t.release(*std::exchange(b, nullptr), g.owed[0]);
                return false;
            }
        for (PageInfo& p : m.pages)
            if (p.owner == g.id.raw() && p.type & type_bits::pinned) {
                (void)t.unpin(p);
                return false;
            }
        for (PageInfo& p : m.pages)
            if (p.owner == g.id.raw() && p.count & count_bits::allocated) {
                p.count.fetch_and(~count_bits::allocated);
                m.put_page(p);
            }
        return true;
    }

    /// Both domains end, preempted all the time, and leave nothing.
    void tear_down() {
        m.meanwhile = {};
        while (!mapped_elsewhere.empty()) let_go_elsewhere();
        for (Guest& g : guests)
            for (unsigned tries = 0; !die(g); ++tries) {
                require(tries < 100'000);
                check();
            }
        for (const PageInfo& p : m.pages) require(p.count == 0 && type_bits::count(p.type) == 0);
    }
};

} // namespace streak::page_types_test
