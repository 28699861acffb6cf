// SPDX-License-Identifier: GPL-2.0-only

// Page types: random guests change page tables every way the interface allows, with preemption at any point,
// and after each step every reference is recounted from the contents of memory alone.

#include <catch2/catch_test_macros.hpp>

#include <random>

#include "mm/guest_root.hpp"
#include "page_types_world.hpp"

using namespace streak;
using namespace streak::page_types_test;

namespace {

std::function<unsigned(unsigned)> at_random(unsigned seed) {
    return [random = std::mt19937(seed)](unsigned n) mutable { return random() % n; };
}

/// Three tables below an L4: frames 0 (L4), 1 (L3), 2 (L2), 3 (L1), data from 10 on.
struct Tree : World {
    Tree() : World(at_random(1)) {
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
        World w(at_random(seed));
        for (unsigned i = 0; i < 3000; ++i) {
            w.step();
            if (i % 3 == 0) w.check();
        }
        w.tear_down();
    }
}

TEST_CASE("page types: what the oracle is there for") {
    Tree w;
    REQUIRE(w.whole().pin(w.m.pages[0], 4));
    auto& pages = w.m.pages;
    u64* const l1 = w.m.entries(pages[3]);
    w.check();
    SECTION("a lost general reference") { --pages[10].count; }
    SECTION("a type reference too many") { ++pages[1].type; }
    SECTION("a writable entry for a table, whatever its counts are") {
        l1[1] = w.m.entry(2, pte::present | pte::user | pte::writable);
        ++pages[2].count, ++pages[2].type;
        --pages[11].count;
    }
    SECTION("an entry of the wrong level") { w.m.entries(pages[1])[0] = w.m.entry(3, pte::present | pte::user); }
    SECTION("an entry that nobody judged") { w.m.entries(pages[2])[9] = w.m.entry(3, pte::present); }
    CHECK_THROWS_AS(w.check(), test::OracleError);
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
