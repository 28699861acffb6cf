// SPDX-License-Identifier: GPL-2.0-only

// Page types: random guests change page tables every way the interface allows, with preemption at any point,
// and after each step every reference is recounted from the contents of memory alone.

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <memory>
#include <random>
#include <vector>

#include "mm/descriptor_check.hpp"
#include "mm/guest_root.hpp"
#include "mm/pt_update.hpp"

using namespace streak;
using namespace streak::mm;

namespace {

constexpr unsigned frame_count = 40;
constexpr u64 first_mfn = 0x100;
constexpr DomId guest{1}, other{2};

/// A machine of forty frames. Frame numbers outside are device space.
struct FakeMachine {
    std::vector<PageInfo> pages = std::vector<PageInfo>(frame_count);
    std::vector<std::array<u64, 512>> memory = std::vector<std::array<u64, 512>>(frame_count);
    u32 clock = 1;
    unsigned flushes = 0;
    std::vector<unsigned> freed;

    PageInfo* page(Mfn mfn) {
        const u64 i = mfn.raw() - first_mfn;
        return i < frame_count ? &pages[i] : nullptr;
    }
    unsigned index(const PageInfo& p) const { return static_cast<unsigned>(&p - pages.data()); }
    Mfn mfn(const PageInfo& p) const { return Mfn(first_mfn + index(p)); }
    u64* entries(const PageInfo& p) { return memory[index(p)].data(); }
    void put_page(PageInfo& p) {
        const u64 before = p.count.fetch_sub(1);
        REQUIRE((before & count_bits::mask) != 0);
        if ((before & count_bits::mask) == 1) {
            REQUIRE((p.type.load() & type_bits::count_mask) == 0);
            p.count = 0;
            p.type = 0;
            p.owner = invalid_domid.raw();
            p.progress = 0;
            freed.push_back(index(p));
        }
    }
    u32 stamp() { return clock++; }
    unsigned l4_changes = 0;
    void l4_changed(const PageInfo& p) {
        REQUIRE(type_bits::type(p.type) == PageType::l4);
        ++l4_changes;
    }
    void entry_written(const u64&, u64) {}
    void flush_stale(const PageInfo&) { ++flushes; }
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
};

using Tables = TableUpdater<FakeMachine>;

/// What references there should be.
struct Oracle {
    FakeMachine& m;
    std::vector<u64> general = std::vector<u64>(frame_count), typed = std::vector<u64>(frame_count);

    void hold(const PageInfo* p) { ++general[m.index(*p)], ++typed[m.index(*p)]; }

    void count_entry(const PageInfo& table, unsigned level, u64 e) {
        PageInfo* p = m.page(pte::frame(e));
        if (!p) return;
        if (level == 1) {
            ++general[m.index(*p)];
            if (e & pte::writable) ++typed[m.index(*p)];
        } else if (p != &table) {
            hold(p);
        }
    }

    void check_entry(const PageInfo& table, unsigned level, u64 e) {
        REQUIRE((e & pte::user) != 0);
        PageInfo* p = m.page(pte::frame(e));
        if (level == 1) {
            REQUIRE((e & pte::global) == 0);
            if (p && (e & pte::writable)) REQUIRE(type_bits::type(p->type) == PageType::writable);
            return;
        }
        REQUIRE(p);
        REQUIRE((e & pte::upper_forbidden) == 0);
        REQUIRE((p->type & type_bits::validated) != 0);
        REQUIRE(p->owner == table.owner);
        if (type_bits::type(p->type) == PageType::l4) REQUIRE((level == 4 && !(e & pte::writable)));
        else REQUIRE(type_bits::type(p->type) == static_cast<PageType>(level - 1));
    }

    void count_table(const PageInfo& p) {
        const u64 word = p.type;
        const unsigned level = static_cast<unsigned>(type_bits::type(word));
        const bool whole = word & type_bits::validated;
        REQUIRE(whole != bool(word & type_bits::partial));
        if (!whole) REQUIRE(type_bits::count(word) == 1);
        const unsigned end = whole ? 512 : p.progress & pt_progress::index_mask;
        const u64* t = m.entries(p);
        for (unsigned i = 0; i < 512; ++i) {
            if (!(t[i] & pte::present) || Tables::is_hypervisor_slot(level, i)) continue;
            const bool owned = !whole && i == end && (p.progress & pt_progress::child_owned);
            if (i < end || owned) count_entry(p, level, t[i]);
            if (i < end && whole) check_entry(p, level, t[i]);
        }
    }

    void check() {
        for (PageInfo& p : m.pages) {
            const u64 word = p.type;
            REQUIRE((word & type_bits::busy) == 0);
            if (p.count & count_bits::allocated) ++general[m.index(p)];
            if (word & type_bits::pinned) hold(&p);
            if (type_bits::is_table(word) && type_bits::count(word) != 0) count_table(p);
        }
        for (unsigned i = 0; i < frame_count; ++i) {
            INFO("frame " << i << " type " << std::hex << m.pages[i].type.load());
            REQUIRE((m.pages[i].count & count_bits::mask) == general[i]);
            REQUIRE((m.pages[i].type & type_bits::count_mask) == typed[i]);
        }
    }
};

struct World {
    FakeMachine m;
    std::mt19937 random;
    std::array<PageInfo*, 2> owed{};
    std::array<PageInfo*, 4> bases{};
    std::vector<PageInfo*> mapped_elsewhere; ///< writable references held without a lock (grants)

    explicit World(unsigned seed) : random(seed) {
        for (unsigned i = 0; i < frame_count; ++i) m.allocate(i, i < frame_count - 4 ? guest : other);
    }

    unsigned pick(unsigned n) { return random() % n; }
    Tables tables() {
        return Tables(m, {guest, pick(2) == 0}, pick(4) == 0 ? Tables::default_budget : 1 + int(pick(100)));
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
        if (pick(40) == 0) flags |= pte::large;
        if (pick(40) == 0) flags |= pte::global;
        if (pick(40) == 0) return pte::make(Mfn(pick(2) ? 0xfee : 0xdead), flags);
        return m.entry(pick(frame_count), flags);
    }

    void check() {
        Oracle oracle{m};
        for (PageInfo* p : owed)
            if (p) oracle.hold(p);
        for (PageInfo* p : bases)
            if (p) oracle.hold(p);
        for (PageInfo* p : mapped_elsewhere) oracle.hold(p);
        oracle.check();
    }

    /// The guest writes its memory where it may.
    void scribble() {
        PageInfo& p = m.pages[pick(frame_count)];
        if (type_bits::is_table(p.type) && type_bits::count(p.type) != 0) return;
        if (pick(3) == 0) m.entries(p)[slot()] = entry();
        else // something like a page table, so that some promotions succeed
            m.entries(p)[slot()] = m.entry(pick(frame_count), pte::present | (pick(3) ? 0 : pte::writable));
    }

    void change() {
        PageInfo& p = m.pages[pick(frame_count)];
        const u64 word = p.type;
        if (!(word & type_bits::validated) || p.owner != guest.raw()) return;
        auto t = tables();
        const bool declines = pick(5) == 0;
        auto write = [&](u64& s, u64, u64 e) { return declines ? false : (s = e, true); };
        const u64 e = entry();
        if (type_bits::type(word) == PageType::l1)
            (void)t.change_l1(m.entries(p)[slot()], e, pick(6) ? guest : other, write);
        else (void)t.change_upper(p, slot(), e, write, owed[pick(2)]);
    }

    void switch_base() {
        auto t = tables();
        PageInfo*& o = owed[pick(2)];
        PageInfo*& base = bases[pick(4)];
        if (base && pick(2)) {
            if (!t.settle(o)) return;
            t.release(*std::exchange(base, nullptr), o);
            return;
        }
        PageInfo& p = pick(3) || !o ? m.pages[pick(frame_count)] : *o;
        if (!t.acquire(p, 4, o)) return;
        if (PageInfo* old = std::exchange(base, &p)) t.release(*old, o);
    }

    void grants() {
        if (!mapped_elsewhere.empty() && pick(2)) {
            drop_shared_type(m, *mapped_elsewhere.back());
            m.put_page(*mapped_elsewhere.back());
            mapped_elsewhere.pop_back();
            return;
        }
        PageInfo& p = m.pages[pick(frame_count)];
        if (!take_reference(m, p, guest)) return;
        if (take_shared_type(m, p, pick(4) ? PageType::writable : PageType::segment_descriptor))
            mapped_elsewhere.push_back(&p);
        else m.put_page(p);
    }

    void balloon() {
        PageInfo& p = m.pages[pick(frame_count)];
        if (p.count & count_bits::allocated && pick(4) == 0) {
            p.count.fetch_and(~count_bits::allocated);
            m.put_page(p);
        } else if (p.count == 0) {
            m.allocate(m.index(p), pick(8) ? guest : other);
        }
    }

    void step() {
        auto t = tables();
        PageInfo& p = m.pages[pick(frame_count)];
        switch (pick(12)) {
        case 0:
        case 1: (void)t.pin(p, 1 + pick(4)); break;
        case 2: (void)t.pin(p, 1); break;
        case 3: (void)t.unpin(p); break;
        case 4:
        case 5: scribble(); break;
        case 6:
        case 7: change(); break;
        case 8: switch_base(); break;
        case 9: grants(); break;
        case 10: balloon(); break;
        case 11: (void)t.settle(owed[pick(2)]); break;
        }
    }

    /// Ends every use, preempted all the time, as a dying domain does.
    void tear_down() {
        while (!mapped_elsewhere.empty()) {
            drop_shared_type(m, *mapped_elsewhere.back());
            m.put_page(*mapped_elsewhere.back());
            mapped_elsewhere.pop_back();
        }
        auto settle = [&](PageInfo*& o) {
            for (unsigned tries = 0; !Tables(m, {guest}, 1).settle(o); ++tries) {
                REQUIRE(tries < 100000);
                check();
            }
        };
        for (PageInfo*& o : owed) settle(o);
        for (PageInfo*& b : bases)
            if (b) {
                Tables(m, {guest}, 1).release(*std::exchange(b, nullptr), owed[0]);
                settle(owed[0]);
            }
        for (PageInfo& p : m.pages)
            for (unsigned tries = 0; p.type & type_bits::pinned; ++tries) {
                REQUIRE(tries < 100000);
                (void)Tables(m, {guest}, 1).unpin(p);
                check();
            }
    }
};

/// Three tables below an L4: frames 0 (L4), 1 (L3), 2 (L2), 3 (L1), data from 10 on.
struct Tree : World {
    Tree() : World(1) {
        m.entries(m.pages[0])[0] = m.entry(1, pte::present | pte::writable);
        m.entries(m.pages[1])[0] = m.entry(2, pte::present | pte::writable);
        m.entries(m.pages[2])[0] = m.entry(3, pte::present | pte::writable);
        m.entries(m.pages[3])[0] = m.entry(10, pte::present | pte::writable);
        m.entries(m.pages[3])[1] = m.entry(11, pte::present);
    }
    Tables whole() { return Tables(m, {guest}); }
};

constexpr auto plain = [](u64& s, u64, u64 e) {
    s = e;
    return true;
};

} // namespace

TEST_CASE("page types: a tree of tables is pinned and unpinned") {
    Tree w;
    REQUIRE(w.whole().pin(w.m.pages[0], 4));
    w.check();
    CHECK(type_bits::type(w.m.pages[3].type) == PageType::l1);
    CHECK(type_bits::type(w.m.pages[10].type) == PageType::writable);
    CHECK(w.m.entries(w.m.pages[0])[256] == (0xabc000 | pte::present));
    CHECK((w.m.entries(w.m.pages[3])[1] & pte::user) != 0);
    CHECK(w.whole().pin(w.m.pages[0], 4).error() == Errno::EINVAL);
    REQUIRE(w.whole().unpin(w.m.pages[0]));
    CHECK(w.whole().unpin(w.m.pages[0]).error() == Errno::EINVAL);
    w.tear_down();
}

TEST_CASE("page types: what a guest may not do") {
    Tree w;
    auto& p = w.m.pages;
    auto l1 = [&](unsigned i) -> u64& { return w.m.entries(p[3])[i]; };

    SECTION("a table mapped writable can't be one") {
        l1(5) = w.m.entry(2, pte::present | pte::writable);
        CHECK(w.whole().pin(p[0], 4).error() == Errno::EINVAL);
    }
    SECTION("a table of another domain") {
        l1(5) = w.m.entry(frame_count - 1, pte::present);
        CHECK(w.whole().pin(p[0], 4).error() == Errno::EINVAL);
    }
    SECTION("superpages") {
        w.m.entries(p[2])[7] = w.m.entry(12, pte::present | pte::large);
        CHECK(w.whole().pin(p[0], 4).error() == Errno::EINVAL);
    }
    SECTION("device frames without the right to") {
        l1(5) = pte::make(Mfn(0xfee), pte::present);
        CHECK(w.whole().pin(p[0], 4).error() == Errno::EINVAL);
        REQUIRE(Tables(w.m, {guest, true}).pin(p[0], 4));
        REQUIRE(w.whole().unpin(p[0]));
    }
    SECTION("writable entries for tables, in live tables") {
        REQUIRE(w.whole().pin(p[0], 4));
        auto t = w.whole();
        CHECK(t.change_l1(l1(9), w.m.entry(3, pte::present | pte::writable), guest, plain).error() == Errno::EINVAL);
        CHECK(t.change_l1(l1(9), w.m.entry(3, pte::present), guest, plain));
        CHECK(t.change_l1(l1(9), w.m.entry(3, pte::present | pte::writable), guest, plain).error() == Errno::EINVAL);
        CHECK(t.change_l1(l1(9), w.m.entry(9, pte::present | pte::global), guest, plain));
        CHECK((l1(9) & pte::global) == 0);
        PageInfo* owed = nullptr;
        CHECK(t.change_upper(p[0], 256, w.m.entry(1, pte::present), plain, owed).error() == Errno::EINVAL);
        CHECK(t.change_upper(p[0], 5, w.m.entry(2, pte::present), plain, owed).error() == Errno::EINVAL);
    }
    SECTION("more rights to a frame of another domain than were given") {
        REQUIRE(w.whole().pin(p[0], 4));
        auto t = w.whole();
        const unsigned foreign = frame_count - 1;
        CHECK(t.change_l1(l1(9), w.m.entry(foreign, pte::present), other, plain));
        CHECK(t.change_l1(l1(9), w.m.entry(foreign, pte::present | pte::writable), guest, plain).error() ==
              Errno::EINVAL);
        w.check();
        CHECK(t.change_l1(l1(9), w.m.entry(foreign, pte::present | pte::writable), other, plain));
    }
    w.check();
    w.tear_down();
}

TEST_CASE("page types: linear page tables") {
    Tree w;
    auto& p = w.m.pages;
    w.m.entries(p[0])[300] = w.m.entry(0, pte::present);
    REQUIRE(w.whole().pin(p[0], 4));
    w.check();
    PageInfo* owed = nullptr;
    auto t = w.whole();
    SECTION("never writable") {
        CHECK(t.change_upper(p[0], 301, w.m.entry(0, pte::present | pte::writable), plain, owed).error() ==
              Errno::EINVAL);
        CHECK(t.change_upper(p[0], 300, w.m.entry(0, pte::present | pte::writable), plain, owed).error() ==
              Errno::EINVAL);
    }
    SECTION("of another table, but without a chain") {
        REQUIRE(t.pin(p[20], 4));
        REQUIRE(t.pin(p[21], 4));
        CHECK(t.change_upper(p[20], 300, w.m.entry(21, pte::present), plain, owed));
        CHECK(t.change_upper(p[21], 300, w.m.entry(0, pte::present), plain, owed).error() == Errno::EINVAL);
        CHECK(t.change_upper(p[0], 301, w.m.entry(20, pte::present), plain, owed).error() == Errno::EINVAL);
        CHECK(t.change_upper(p[21], 301, w.m.entry(21, pte::present), plain, owed));
    }
    SECTION("of another table, but without a cycle") {
        REQUIRE(t.pin(p[20], 4));
        CHECK(t.change_upper(p[20], 300, w.m.entry(0, pte::present), plain, owed));
        CHECK(t.change_upper(p[0], 301, w.m.entry(20, pte::present), plain, owed).error() == Errno::EINVAL);
        w.check();
        REQUIRE(t.unpin(p[0]));
        CHECK((p[0].type & type_bits::validated) != 0);
        REQUIRE(t.unpin(p[20]));
        CHECK(type_bits::count(p[0].type) == 0);
    }
    w.check();
    w.tear_down();
}

TEST_CASE("page types: preempted promotion goes on where it stopped") {
    Tree w;
    for (unsigned i = 0; i < 8; ++i) w.m.entries(w.m.pages[2])[i] = w.m.entry(20 + i, pte::present);
    unsigned calls = 0;
    for (Result<> r = fail(Errno::ERESTART); !r; ++calls) {
        REQUIRE(calls < 20);
        r = Tables(w.m, {guest}, 1).pin(w.m.pages[0], 4);
        w.check();
    }
    CHECK(calls >= 8);
    calls = 0;
    for (Result<> r = fail(Errno::ERESTART); !r; ++calls) {
        REQUIRE(calls < 20);
        r = Tables(w.m, {guest}, 1).unpin(w.m.pages[0]);
        w.check();
    }
    CHECK(calls >= 8);
}

TEST_CASE("page types: a failed promotion is undone, preempted or not") {
    Tree w;
    for (unsigned i = 0; i < 8; ++i) w.m.entries(w.m.pages[2])[i] = w.m.entry(20 + i, pte::present);
    w.m.entries(w.m.pages[2])[8] = w.m.entry(30, pte::present | pte::large);
    Result<> r = fail(Errno::ERESTART);
    for (unsigned calls = 0; !r && r.error() == Errno::ERESTART; ++calls) {
        REQUIRE(calls < 60);
        r = Tables(w.m, {guest}, 1).pin(w.m.pages[0], 4);
        w.check();
    }
    CHECK(r.error() == Errno::EINVAL);
    for (const PageInfo& p : w.m.pages) CHECK(type_bits::count(p.type) == 0);
}

TEST_CASE("page types: a change of type flushes stale translations") {
    Tree w;
    PageInfo& p = w.m.pages[12];
    REQUIRE(take_shared_type(w.m, p, PageType::writable));
    drop_shared_type(w.m, p);
    CHECK(w.m.flushes == 0);
    CHECK(p.tlb_stamp != 0);
    REQUIRE(take_shared_type(w.m, p, PageType::writable));
    drop_shared_type(w.m, p);
    CHECK(w.m.flushes == 0);
    REQUIRE(w.whole().pin(p, 1));
    CHECK(w.m.flushes == 1);
    REQUIRE(w.whole().unpin(p));
    REQUIRE(take_shared_type(w.m, p, PageType::writable));
    CHECK(w.m.flushes == 2);
    drop_shared_type(w.m, p);
}

TEST_CASE("page types: descriptors") {
    FakeMachine m;
    PageInfo& page = m.allocate(0, guest);
    m.entries(page)[3] = 0x00cf93000000ffff;
    REQUIRE(take_shared_type(m, page, PageType::segment_descriptor));
    CHECK(m.entries(page)[3] == 0x00cff3000000ffff);
    CHECK_FALSE(take_shared_type(m, page, PageType::writable));
    drop_shared_type(m, page);
    m.entries(page)[4] = 0x0000ec0000080000;
    CHECK_FALSE(take_shared_type(m, page, PageType::segment_descriptor));
    CHECK(take_shared_type(m, page, PageType::writable));
    CHECK(type_bits::count(page.type) == 1);

    u64 code = 0x00af9b000000ffff, gate = 0x0000ec0000080000, absent = 0x00000c0000080000;
    CHECK(fix_descriptor(code));
    CHECK(code == 0x00affb000000ffff);
    CHECK_FALSE(fix_descriptor(gate));
    CHECK(fix_descriptor(absent));
}

TEST_CASE("page types: random guests, every reference recounted") {
    for (unsigned seed = 0; seed < 40; ++seed) {
        INFO("seed " << seed);
        World w(seed);
        for (unsigned i = 0; i < 3000; ++i) {
            w.step();
            if (i % 3 == 0) w.check();
        }
        w.tear_down();
        for (const PageInfo& p : w.m.pages) REQUIRE(type_bits::count(p.type) == 0);
    }
}

TEST_CASE("page types: what an isolated guest's root shows") {
    Tree w;
    auto& p = w.m.pages;
    w.m.entries(p[0])[300] = w.m.entry(0, pte::present);
    REQUIRE(w.whole().pin(p[0], 4));
    REQUIRE(w.whole().pin(p[20], 4));
    PageInfo* owed = nullptr;
    auto t = w.whole();
    REQUIRE(t.change_upper(p[20], 300, w.m.entry(0, pte::present), plain, owed));
    CHECK(w.m.l4_changes == 3);
    CHECK(t.change_upper(p[20], 301, w.m.entry(0, pte::present | pte::writable), plain, owed).error() == Errno::EINVAL);
    CHECK(w.m.l4_changes == 3);

    constexpr Mfn root_frame{0x4711};
    constexpr u64 own = 0xdead000 | pte::present;
    std::array<u64, 512> root{};
    root.fill(own);
    show_guest_entries(w.m, root.data(), root_frame, p[0]);
    const u64* const l4 = w.m.entries(p[0]);
    for (unsigned i = 0; i < 512; ++i) {
        INFO("entry " << i);
        if (i > 256 && i <= 271) CHECK(root[i] == own); // what the root had, never the table's hypervisor entries
        else if (i == 300) CHECK(root[i] == ((l4[i] & ~pte::address_mask) | pte::make(root_frame, 0)));
        else CHECK(root[i] == l4[i]);
    }
    show_guest_entries(w.m, root.data(), root_frame, p[20]);
    CHECK(root[300] == 0); // would lead to the hypervisor's entries of frame 0
    CHECK(root[257] == own);
    REQUIRE(t.change_upper(p[20], 300, 0, plain, owed));
    w.check();
    w.tear_down();
}
