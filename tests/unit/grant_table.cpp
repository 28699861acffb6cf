// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <memory>
#include <random>

#include "grant/pin.hpp"
#include "test_memory.hpp"

using namespace streak;
using namespace streak::grant;

namespace {

constexpr DomId user{5}, other{6};

/// A domain's table with frames; plays the guest by writing entries.
struct Owner {
    static constexpr u32 max_frames = 4;

    explicit Owner(u32 frames = 2) : table(test::memory, max_frames, 1) {
        REQUIRE(table.init());
        for (u32 i = 0; i < frames; ++i) table.add_frame(pages[i]);
    }
    void to_v2() {
        for (u32 i = 0; i < Table::statuses_for(table.frame_count()); ++i) table.add_status_frame(statuses[i]);
        REQUIRE(table.can_set_version(2));
        table.set_version(2);
    }
    grant_entry_v1_t& v1(u32 ref) { return reinterpret_cast<grant_entry_v1_t*>(pages[ref / 512])[ref % 512]; }
    grant_entry_v2_t& v2(u32 ref) { return reinterpret_cast<grant_entry_v2_t*>(pages[ref / 256])[ref % 256]; }
    grant_status_t& status(u32 ref) { return reinterpret_cast<grant_status_t*>(statuses[0])[ref]; }
    void give(u32 ref, u16 flags, u32 frame = 100) { v1(ref) = {flags, user.raw(), frame}; }
    void give2(u32 ref, u16 flags, u64 frame = 100) {
        v2(ref).full_page.hdr = {flags, user.raw()};
        v2(ref).full_page.frame = frame;
    }

    alignas(4096) u8 pages[max_frames][4096]{};
    alignas(4096) u8 statuses[1][4096]{};
    Table table;
};

Use reading(DomId who = user) { return {.user = who, .write = false, .map = true}; }
Use writing(DomId who = user) { return {.user = who, .write = true, .map = true}; }
Use copying(bool write = false) { return {.user = user, .write = write, .map = false}; }

} // namespace

TEST_CASE("v1: a use is marked in the entry and unmarked by its end", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->give(20, GTF_permit_access, 1234);
    auto r = o->table.pin(GrantRef(20), reading());
    REQUIRE(r);
    CHECK((*r)->mfn() == Mfn(1234));
    CHECK((*r)->length == page_size);
    CHECK(o->v1(20).flags == (GTF_permit_access | GTF_reading));
    REQUIRE(o->table.pin(GrantRef(20), writing()));
    CHECK(o->v1(20).flags == (GTF_permit_access | GTF_reading | GTF_writing));
    o->table.unpin(GrantRef(20), true);
    CHECK(o->v1(20).flags == (GTF_permit_access | GTF_reading));
    o->table.unpin(GrantRef(20), false);
    CHECK(o->v1(20).flags == GTF_permit_access);
}

TEST_CASE("v1: a writer alone marks reading, too, and unmarks both", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->give(20, GTF_permit_access);
    REQUIRE(o->table.pin(GrantRef(20), writing()));
    CHECK(o->v1(20).flags == (GTF_permit_access | GTF_reading | GTF_writing));
    o->table.unpin(GrantRef(20), true);
    CHECK(o->v1(20).flags == GTF_permit_access);
}

TEST_CASE("every refusal, and that it leaves the entry alone", "[grant]") {
    auto o = std::make_unique<Owner>();
    const auto refused = [&](u32 ref, const Use& use) {
        const grant_entry_v1_t before = o->v1(ref);
        auto r = o->table.pin(GrantRef(ref), use);
        CHECK(std::memcmp(&before, &o->v1(ref), sizeof before) == 0);
        CHECK(o->table.pin_count(GrantRef(ref)) == 0);
        return r ? Status::okay : r.error();
    };
    CHECK(refused(9, reading()) == Status::general_error); // GTF_invalid
    o->give(10, GTF_accept_transfer);
    CHECK(refused(10, reading()) == Status::general_error);
    o->give(11, GTF_permit_access);
    CHECK(refused(11, reading(other)) == Status::general_error);
    o->give(12, GTF_permit_access | GTF_readonly);
    CHECK(refused(12, writing()) == Status::general_error);
    o->give(13, GTF_transitive); // version 1 has none
    CHECK(refused(13, copying()) == Status::general_error);
    o->give(14, GTF_permit_access, ~0u);
    CHECK(refused(14, reading()) == Status::general_error);
    CHECK(o->table.pin(GrantRef(1024), reading()).error() == Status::bad_gntref);
    CHECK(o->table.pin(GrantRef(~0u), reading()).error() == Status::bad_gntref);
    REQUIRE(o->table.pin(GrantRef(12), reading()));
}

TEST_CASE("what an entry says later does not matter to its use", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->give(20, GTF_permit_access, 100);
    REQUIRE(o->table.pin(GrantRef(20), reading()));
    o->v1(20) = {GTF_permit_access, other.raw(), 200};
    CHECK(o->table.pin(GrantRef(20), reading()).value()->mfn() == Mfn(100));
    CHECK(o->table.pin(GrantRef(20), reading(other)).error() == Status::general_error);
    CHECK(o->table.pin(GrantRef(20), writing()).error() == Status::general_error); // needs the entry anew
    CHECK(o->table.uses(user, Mfn(100)));
    CHECK_FALSE(o->table.uses(user, Mfn(200)));
    CHECK_FALSE(o->table.uses(other, Mfn(100)));
}

TEST_CASE("an unpaired end has no effect", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->give(20, GTF_permit_access);
    o->table.unpin(GrantRef(20), true);
    REQUIRE(o->table.pin(GrantRef(20), reading()));
    o->table.unpin(GrantRef(20), true);
    o->table.unpin(GrantRef(5000), false);
    CHECK(o->table.pin_count(GrantRef(20)) == 1);
    CHECK(o->v1(20).flags == (GTF_permit_access | GTF_reading));
}

TEST_CASE("a use count never wraps", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->give(20, GTF_permit_access);
    u32 n = 0;
    while (n < 70'000 && o->table.pin(GrantRef(20), reading())) ++n;
    CHECK(n == 0xffff);
    for (; n != 0; --n) o->table.unpin(GrantRef(20), false);
    CHECK(o->v1(20).flags == GTF_permit_access);
}

TEST_CASE("v2: marks go to the status word", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->to_v2();
    CHECK(o->table.entry_count() == 512);
    o->give2(20, GTF_permit_access, 0x1234567);
    auto r = o->table.pin(GrantRef(20), writing());
    REQUIRE(r);
    CHECK((*r)->mfn() == Mfn(0x1234567));
    CHECK(o->v2(20).hdr.flags == GTF_permit_access);
    CHECK(o->status(20) == (GTF_reading | GTF_writing));
    o->table.unpin(GrantRef(20), true);
    CHECK(o->status(20) == 0);
    o->give2(21, GTF_permit_access | GTF_readonly);
    CHECK(o->table.pin(GrantRef(21), writing()).error() == Status::general_error);
    CHECK(o->status(21) == 0);
    o->give2(22, GTF_permit_access, 1ull << 40);
    CHECK(o->table.pin(GrantRef(22), reading()).error() == Status::general_error);
    CHECK(o->status(22) == 0);
}

TEST_CASE("v2: parts of pages can be copied, not mapped", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->to_v2();
    o->give2(20, GTF_permit_access | GTF_sub_page, 77);
    o->v2(20).sub_page.page_off = 100;
    o->v2(20).sub_page.length = 50;
    CHECK(o->table.pin(GrantRef(20), reading()).error() == Status::general_error);
    auto r = o->table.pin(GrantRef(20), copying());
    REQUIRE(r);
    CHECK(((*r)->mfn() == Mfn(77) && (*r)->offset == 100 && (*r)->length == 50));
    CHECK(o->table.pin(GrantRef(20), reading()).error() == Status::general_error);
    o->table.unpin(GrantRef(20), false);

    o->v2(20).sub_page.length = 4000;
    CHECK(o->table.pin(GrantRef(20), copying()).error() == Status::general_error);
    o->v2(20).sub_page.page_off = 5000;
    CHECK(o->table.pin(GrantRef(20), copying()).error() == Status::general_error);
    CHECK(o->status(20) == 0);
}

TEST_CASE("v2: a use begun as part of a page can't become a mapping", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->to_v2();
    o->give2(20, GTF_permit_access | GTF_sub_page, 77);
    o->v2(20).sub_page.length = 8;
    REQUIRE(o->table.pin(GrantRef(20), copying()));
    o->give2(20, GTF_permit_access, 78); // the guest rewrites the entry in use
    CHECK(o->table.pin(GrantRef(20), reading()).error() == Status::general_error);
    CHECK(o->table.pin(GrantRef(20), writing()).error() == Status::general_error);
}

TEST_CASE("v2: transitive entries name another grant, for copies only", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->to_v2();
    o->v2(30).transitive.hdr = {GTF_transitive, user.raw()};
    o->v2(30).transitive.trans_domid = 9;
    o->v2(30).transitive.gref = 33;
    CHECK(o->table.pin(GrantRef(30), reading()).error() == Status::general_error);
    auto r = o->table.pin(GrantRef(30), copying(true));
    REQUIRE(r);
    CHECK(((*r)->transitive && (*r)->via_domain() == DomId(9) && (*r)->via_ref() == GrantRef(33)));
    CHECK(o->status(30) == (GTF_reading | GTF_writing));
    CHECK_FALSE(o->table.uses(user, Mfn(33)));
    o->table.unpin(GrantRef(30), true);
    CHECK(o->status(30) == 0);
}

TEST_CASE("the version changes only while nothing would be lost", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->give(0, GTF_permit_access, 40);
    o->give(1, GTF_permit_access | GTF_readonly, 41);
    o->give(20, GTF_permit_access, 42);
    REQUIRE(o->table.pin(GrantRef(0), writing()));
    REQUIRE(o->table.pin(GrantRef(20), reading()));
    CHECK(o->table.can_set_version(2).error() == Errno::EBUSY);
    o->table.unpin(GrantRef(20), false);
    o->to_v2();

    CHECK(o->v2(0).full_page.frame == 40);
    CHECK(o->v2(0).hdr.flags == GTF_permit_access);
    CHECK(o->status(0) == (GTF_reading | GTF_writing));
    CHECK(o->v2(1).hdr.flags == (GTF_permit_access | GTF_readonly));
    CHECK(o->v2(20).hdr.flags == 0);

    o->give2(2, GTF_permit_access | GTF_sub_page);
    CHECK(o->table.can_set_version(1).error() == Errno::ERANGE);
    o->give2(2, GTF_permit_access, 1ull << 33);
    CHECK(o->table.can_set_version(1).error() == Errno::ERANGE);
    o->give2(2, GTF_transitive);
    CHECK(o->table.can_set_version(1).error() == Errno::ERANGE);
    o->give2(2, GTF_invalid);
    REQUIRE(o->table.can_set_version(1));
    while (o->table.take_status_frame());
    o->table.set_version(1);
    CHECK(o->v1(0).flags == (GTF_permit_access | GTF_reading | GTF_writing));
    CHECK(o->v1(0).frame == 40);
    CHECK(o->v1(1).flags == (GTF_permit_access | GTF_readonly));
    CHECK(o->v1(20).flags == 0);
    o->table.unpin(GrantRef(0), true);
    CHECK(o->v1(0).flags == GTF_permit_access);
}

TEST_CASE("transfers need an entry that accepts exactly this giver", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->give(20, GTF_accept_transfer, 0);
    CHECK(o->table.commit_transfer(GrantRef(20), other).error() == Status::bad_gntref);
    CHECK(o->table.commit_transfer(GrantRef(9999), user).error() == Status::bad_gntref);
    REQUIRE(o->table.commit_transfer(GrantRef(20), user));
    CHECK(o->v1(20).flags == (GTF_accept_transfer | GTF_transfer_committed));
    CHECK(o->table.commit_transfer(GrantRef(20), user).error() == Status::bad_gntref);
    o->table.cancel_transfer(GrantRef(20));
    REQUIRE(o->table.commit_transfer(GrantRef(20), user));
    o->table.finish_transfer(GrantRef(20), Mfn(55));
    CHECK(o->v1(20).frame == 55);
    CHECK(o->v1(20).flags == (GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed));
    o->give(21, GTF_permit_access);
    CHECK(o->table.commit_transfer(GrantRef(21), user).error() == Status::bad_gntref);
}

TEST_CASE("entries in use are not swapped", "[grant]") {
    auto o = std::make_unique<Owner>();
    o->give(20, GTF_permit_access, 1);
    o->give(21, GTF_permit_access, 2);
    REQUIRE(o->table.pin(GrantRef(20), reading()));
    CHECK(o->table.swap(GrantRef(20), GrantRef(21)).error() == Status::eagain);
    CHECK(o->table.swap(GrantRef(21), GrantRef(20)).error() == Status::eagain);
    o->table.unpin(GrantRef(20), false);
    CHECK(o->table.swap(GrantRef(20), GrantRef(1024)).error() == Status::bad_gntref);
    REQUIRE(o->table.swap(GrantRef(20), GrantRef(21)));
    CHECK(o->v1(20).frame == 2);
    REQUIRE(o->table.swap(GrantRef(20), GrantRef(20)));
    CHECK(o->v1(20).frame == 2);
}

TEST_CASE("grants: memory running out is a status, and nothing leaks", "[grant]") {
    const i64 before = test::live_bytes;
    {
        auto o = std::make_unique<Owner>();
        o->give(20, GTF_permit_access);
        {
            test::OutOfMemoryAfter none(0);
            CHECK(o->table.pin(GrantRef(20), reading()).error() == Status::no_space);
            Table t(test::memory, 4, 2);
            CHECK(t.init().error() == Errno::ENOMEM);
        }
        CHECK(o->v1(20).flags == GTF_permit_access);
        CHECK(o->table.pin(GrantRef(20), reading()));
    }
    CHECK(test::live_bytes == before);
}

TEST_CASE("a guest that scribbles on its entries confuses no counts", "[grant]") {
    for (const u32 version : {1u, 2u}) {
        auto o = std::make_unique<Owner>();
        if (version == 2) o->to_v2();
        std::mt19937 random(version);
        u32 readers[64]{}, writers[64]{};
        for (int i = 0; i < 200'000; ++i) {
            const u32 ref = 8 + random() % 40;
            const bool write = random() & 1;
            switch (random() % 4) {
            case 0:
                reinterpret_cast<u32*>(o->pages[0])[random() % 256] =
                    random() % 64 | (random() % 3 ? 5u << 16 : 6u << 16);
                break;
            case 1:
                if ((write ? writers : readers)[ref] != 0) {
                    o->table.unpin(GrantRef(ref), write);
                    --(write ? writers : readers)[ref];
                }
                break;
            default:
                if (o->table.pin(GrantRef(ref), write ? writing() : reading())) ++(write ? writers : readers)[ref];
            }
            REQUIRE(o->table.pin_count(GrantRef(ref)) == readers[ref] + writers[ref]);
        }
    }
}
