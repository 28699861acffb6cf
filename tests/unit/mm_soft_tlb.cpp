// SPDX-License-Identifier: GPL-2.0-only

// The tables that a logged vCPU runs on: random accesses, changes of the guest's tables, flushes and readings of the
// log, against a model that knows which pages were written and what a TLB may still hold.

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "mm/dirty_log.hpp"
#include "mm/soft_tlb.hpp"

using namespace streak;
using namespace streak::mm;

namespace {

constexpr unsigned guest_frames = 24, first_data = 8, pool_frames = 7;
constexpr u64 first_guest = 0x100, first_pool = 0x200;
constexpr u64 rights = pte::present | pte::writable | pte::user;

/// The guest's frames, those of the tables, and the log; frame numbers are the guest's page numbers as well.
struct Machine {
    struct alignas(page_size) Table : std::array<u64, 512> {};
    std::vector<Table> guest = std::vector<Table>(guest_frames), pool = std::vector<Table>(pool_frames);
    std::vector<u64> bitmaps = std::vector<u64>(2 * DirtyLog::words_for(guest_frames));
    DirtyLog log{bitmaps.data(), guest_frames};
    SoftTlb<Machine> tlb{*this, pool.front().data(), pool_frames};
    unsigned root_changes = 0, flushes = 0;
    std::set<u64> noted; ///< since the log was read

    u64* table(u64 entry) {
        const u64 mfn = pte::frame(entry).raw();
        if (mfn >= first_pool) return pool.at(mfn - first_pool).data();
        return guest.at(mfn - first_guest).data();
    }
    u64 entry_for(const u64* table) const {
        return pte::make(Mfn(first_pool + static_cast<u64>(table - pool.front().data()) / 512), rights);
    }
    void note_write(Mfn mfn) {
        noted.insert(mfn.raw() - first_guest);
        log.mark(mfn.raw() - first_guest);
    }
    bool is_noted(Mfn mfn) const { return log.is_dirty(mfn.raw() - first_guest); }
    void root_changed() { ++root_changes; }
    void flush_guest() {
        ++flushes;
        tlb.drop();
    }

    u64& entry(unsigned frame, unsigned index) { return guest[frame][index]; }
    static u64 to(unsigned frame, u64 flags) { return pte::make(Mfn(first_guest + frame), flags); }
    static constexpr u64 cr3 = first_guest << page_shift;

    /// The processor's walk of the tables it runs on: the entry, or 0.
    u64 walk(bool user, u64 va) {
        u64 entry = entry_for(tlb.root(user));
        for (unsigned level = 4; level > 0; --level) {
            entry = table(entry)[pte::index(va, level)];
            if (!(entry & pte::present)) return 0;
        }
        return entry;
    }
    bool allows(u64 entry, u32 access) const {
        return (entry & pte::present) && (!(access & fault::write) || (entry & pte::writable)) &&
               (!(access & fault::fetch) || !(entry & pte::no_execute));
    }
    /// What the guest's tables say now, all levels together: frame and rights, or 0.
    u64 truth(u64 va) {
        u64 entry = cr3, all = ~0ull, any = 0;
        for (unsigned level = 4; level > 0; --level) {
            entry = table(entry)[pte::index(va, level)];
            if ((~entry & (pte::present | pte::user)) != 0) return 0;
            all &= entry;
            any |= entry;
        }
        return (entry & (pte::address_mask | pte::present)) | (all & pte::writable) | (any & pte::no_execute);
    }
};
using Fill = SoftTlb<Machine>::Fill;

/// Frame 0 is the L4, 1 an L3, 2 and 3 L2s, 4 to 7 L1s; the rest is data.
std::unique_ptr<Machine> machine() {
    auto m = std::make_unique<Machine>();
    m->entry(0, 0) = m->entry(0, 300) = Machine::to(1, rights);
    for (unsigned i = 0; i < 2; ++i) {
        m->entry(1, i) = Machine::to(2 + i, rights);
        m->entry(2 + i, 0) = Machine::to(4 + 2 * i, rights);
        m->entry(2 + i, 511) = Machine::to(5 + 2 * i, rights);
    }
    return m;
}

constexpr u64 address(unsigned l4, unsigned l3, unsigned l2, unsigned l1) {
    const u64 va = u64{l4} << 39 | u64{l3} << 30 | u64{l2} << 21 | u64{l1} << 12;
    return l4 < 256 ? va : va | 0xffff000000000000;
}

u64 bits_of(DirtyLog& log, bool clear) { return log.read(0, clear); }

} // namespace

TEST_CASE("soft tlb: an access makes one entry, and writing is noted first") {
    auto m = machine();
    m->entry(4, 3) = Machine::to(9, rights | pte::no_execute);
    const u64 va = address(0, 0, 0, 3) + 0x123;
    REQUIRE(m->tlb.fill(false, m->cr3, va, fault::user) == Fill::done);
    REQUIRE(m->walk(false, va) == Machine::to(9, pte::present | pte::user | pte::no_execute));
    REQUIRE(m->walk(true, va) == 0);
    REQUIRE(m->noted == std::set<u64>{0, 1, 2, 4}); // accessed bits
    for (const unsigned table : {0u, 1u, 2u}) REQUIRE((m->entry(table, 0) & pte::accessed));
    REQUIRE((m->entry(4, 3) & pte::accessed_dirty) == pte::accessed);

    REQUIRE(m->tlb.fill(false, m->cr3, va, fault::write) == Fill::done);
    REQUIRE(m->noted.contains(9));
    REQUIRE(m->allows(m->walk(false, va), fault::write));
    REQUIRE((m->entry(4, 3) & pte::dirty));
    REQUIRE(m->log.dirty_count == 5);
    // What is noted as written can be written at once in the other mode.
    REQUIRE(m->tlb.fill(true, m->cr3, va, fault::user) == Fill::done);
    REQUIRE(m->allows(m->walk(true, va), fault::write));
    m->tlb.drop_page(va);
    REQUIRE((m->walk(false, va) == 0 && m->walk(true, va) == 0));
    REQUIRE(bits_of(m->log, true) == 0x217);
    REQUIRE(m->tlb.fill(true, m->cr3, va, fault::user) == Fill::done);
    REQUIRE(!m->allows(m->walk(true, va), fault::write));
}

TEST_CASE("soft tlb: entries that were used before come along") {
    auto m = machine();
    m->entry(4, 3) = Machine::to(9, rights);
    m->entry(4, 4) = Machine::to(10, rights | pte::accessed_dirty);
    m->entry(4, 5) = Machine::to(11, rights | pte::accessed_dirty);
    m->entry(4, 6) = Machine::to(12, rights);
    m->entry(4, 40) = Machine::to(13, rights | pte::accessed_dirty);
    m->note_write(Mfn(first_guest + 10));
    REQUIRE(m->tlb.fill(false, m->cr3, address(0, 0, 0, 3), 0) == Fill::done);
    REQUIRE(m->allows(m->walk(false, address(0, 0, 0, 4)), fault::write));
    REQUIRE(m->allows(m->walk(false, address(0, 0, 0, 5)), 0));
    REQUIRE(!m->allows(m->walk(false, address(0, 0, 0, 5)), fault::write)); // not noted
    REQUIRE(m->walk(false, address(0, 0, 0, 6)) == 0);                      // not used before
    REQUIRE(m->walk(false, address(0, 0, 0, 40)) == 0);                     // too far away
    REQUIRE(!m->noted.contains(11));
}

TEST_CASE("soft tlb: what the guest's tables don't allow is the guest's fault") {
    auto m = machine();
    m->entry(4, 0) = Machine::to(9, pte::present | pte::user);
    m->entry(4, 1) = Machine::to(9, rights | pte::no_execute);
    m->entry(4, 2) = Machine::to(9, pte::present | pte::writable);
    m->entry(6, 0) = Machine::to(9, rights);
    m->entry(3, 5) = Machine::to(9, rights | pte::large);
    m->entry(1, 1) &= ~pte::writable;
    const auto fill = [&](u64 va, u32 access) { return m->tlb.fill(false, m->cr3, va, access); };
    REQUIRE(fill(address(0, 0, 0, 0), fault::write) == Fill::forbidden);
    REQUIRE(fill(address(0, 0, 0, 1), fault::fetch) == Fill::forbidden);
    REQUIRE(fill(address(0, 0, 0, 2), 0) == Fill::absent);
    REQUIRE(fill(address(0, 0, 0, 7), 0) == Fill::absent);
    REQUIRE(fill(address(0, 0, 9, 0), 0) == Fill::absent);
    REQUIRE(fill(address(0, 1, 0, 0), fault::write) == Fill::forbidden); // the level above forbids it
    REQUIRE(fill(address(0, 1, 5, 0), 0) == Fill::absent);
    REQUIRE(m->noted.empty());
    for (const u64 va : {u64{arch::hypervisor_start}, u64{arch::hypervisor_end} - 8, u64{0x0000800000000000}}) {
        m->tlb.root(false)[pte::index(va, 4)] = ~0ull; // would lead a walk astray
        REQUIRE(fill(va, 0) == Fill::absent);
        m->tlb.drop_page(va);
    }
    REQUIRE(m->noted.empty());
}

TEST_CASE("soft tlb: a linear page table shows tables, and the hypervisor's entries stay") {
    auto m = machine();
    m->entry(0, 400) = Machine::to(0, pte::present | pte::user);
    m->tlb.root(false)[260] = 0xabc;
    const u64 table = address(400, 400, 0, 0); // the L2 below slot 0
    for (unsigned i = 0; i < 3; ++i)           // the entry leads twice to its own table: its bits change on the way
        REQUIRE(m->tlb.fill(false, m->cr3, table, 0) == Fill::done);
    REQUIRE(pte::frame(m->walk(false, table)).raw() == first_guest + 2);
    REQUIRE(m->tlb.fill(false, m->cr3, table, fault::write) == Fill::forbidden);
    m->tlb.drop();
    REQUIRE(m->walk(false, table) == 0);
    REQUIRE(m->tlb.root(false)[260] == 0xabc);
}

TEST_CASE("soft tlb: a page that is kept is told each time, and what was not told stays") {
    std::array<u64, 4> memory{};
    DirtyLog log(memory.data(), 70);
    log.keep(3);
    log.mark(69);
    log.mark(69);
    log.mark(70); // none of the guest's
    log.keep(~0ull);
    REQUIRE(log.dirty_count == 1);
    REQUIRE(log.read(0, true) == 8);
    REQUIRE(log.read(0, true) == 8);
    REQUIRE(log.read(1, false) == 32);
    REQUIRE(log.read(1, true) == 32);
    log.put_back(1, 32);
    REQUIRE((log.is_dirty(69) && !log.is_dirty(68) && !log.is_dirty(1000)));
    REQUIRE(log.read(1, true) == 32);
    REQUIRE(log.read(1, true) == 0);
}

TEST_CASE("soft tlb: random guests") {
    std::mt19937 random(1);
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    for (unsigned run = 0; run < 40; ++run) {
        auto m = machine();
        std::set<u64> written;                      // since the log was read
        std::map<u64, std::set<u64>> may_be_cached; // what each address meant since the last flush
        std::vector<u64> places;
        for (unsigned i = 0; i < 16; ++i) places.push_back(address(i % 3 ? 0 : 300, i % 2, i % 5 ? 0 : 511, below(4)));
        const auto remember = [&] {
            for (const u64 va : places) may_be_cached[va].insert(m->truth(va));
        };
        const auto flush = [&] {
            m->tlb.drop();
            may_be_cached.clear();
            remember();
        };
        remember();
        for (unsigned step = 0; step < 3000; ++step) {
            const unsigned what = below(100);
            const u64 va = places[below(16)];
            if (what < 60) {
                const bool user = below(2);
                const u32 access = below(2) ? u32{fault::write} : below(4) ? 0 : u32{fault::fetch};
                if (!m->allows(m->walk(user, va), access)) {
                    const unsigned flushes = m->flushes;
                    const u64 truth = m->truth(va);
                    const Fill made = m->tlb.fill(user, m->cr3, va, access);
                    if (m->flushes != flushes) {
                        may_be_cached.clear();
                        remember();
                    }
                    REQUIRE((made == Fill::absent) == (truth == 0));
                    if (made != Fill::done) {
                        REQUIRE((truth == 0 || !m->allows(truth, access)));
                        continue;
                    }
                }
                const u64 used = m->walk(user, va);
                REQUIRE(m->allows(used, access));
                bool legitimate = false; // as the tables were at some time since the flush
                for (const u64 was : may_be_cached[va])
                    legitimate |= was != 0 && pte::same_frame(was, used) &&
                                  ((used & pte::writable) == 0 || (was & pte::writable)) &&
                                  (was & pte::no_execute) == (used & pte::no_execute);
                REQUIRE(legitimate);
                if (access & fault::write) written.insert(pte::frame(used).raw() - first_guest);
            } else if (what < 85) { // the guest changes an entry of level 1, and may forget to flush
                const unsigned table = 4 + below(4), index = below(4);
                const u64 flags = (below(5) ? pte::present : 0) | (below(3) ? pte::writable : 0) | pte::user |
                                  (below(4) ? 0 : pte::no_execute) | (below(3) ? 0 : pte::accessed_dirty);
                m->entry(table, index) = Machine::to(first_data + below(guest_frames - first_data), flags);
                remember();
            } else if (what < 88) { // or of level 2
                u64& entry = m->entry(2 + below(2), below(2) ? 0 : 511);
                entry = Machine::to(4 + below(4), below(4) ? rights : pte::present | pte::user);
                remember();
            } else if (what < 93) {
                m->tlb.drop_page(va);
                may_be_cached[va] = {m->truth(va)};
            } else if (what < 97) {
                flush();
            } else {
                const u64 told = bits_of(m->log, true);
                for (const u64 pfn : written) REQUIRE((told >> pfn & 1));
                for (u64 pfn = 0; pfn < guest_frames; ++pfn) REQUIRE((told >> pfn & 1) == m->noted.contains(pfn));
                written.clear();
                m->noted.clear();
                flush();
            }
        }
        REQUIRE(m->flushes > 10); // the frames ran out
    }
}
