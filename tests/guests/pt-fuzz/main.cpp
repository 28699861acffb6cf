// SPDX-License-Identifier: GPL-2.0-only
//
// The story: hand-written cases find the mistakes somebody thought of. Here random operations on a few pages
// (remapping, pinning, unpinning, entries that point at each other) run against the one rule that matters: no
// page is ever a page table and mapped writable at once. In the end everything is taken down, and every page
// has to be free again: a count that leaked shows there. A seed on the command line (seed=N) repeats a run.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/random.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr unsigned page_count = 16;
constexpr unsigned steps = 20000;
constinit Page* pages = nullptr;
constinit int pinned_level[page_count] = {}; // 0: not pinned
constinit Random generator(1);
constinit unsigned accepted = 0;

u64 random() { return generator.next(); }

unsigned random(unsigned below) { return generator.below(below); }

/// Mostly entries that could be right: a page of the set with sensible flags; sometimes anything at all.
u64 random_entry() {
    if (random(16) == 0) return random();
    if (random(4) == 0) return 0;
    const u64 mfn = mfn_of(&pages[random(page_count)]);
    u64 flags = random(2) ? pte_rw : pte_ro;
    if (random(16) == 0) flags ^= 1ull << random(12);
    return pte(mfn, flags);
}

bool writable(unsigned index) {
    return (*entry_of(std::bit_cast<u64>(&pages[index])) & (pte_present | pte_write)) == (pte_present | pte_write);
}

void step() {
    const unsigned index = random(page_count);
    Page* page = &pages[index];
    switch (random(6)) {
    case 0: accepted += make_readonly(page) == 0; break;
    case 1: accepted += make_writable(page) == 0; break;
    case 2: {
        const int level = 1 + static_cast<int>(random(4));
        if (pin(level, page) == 0) {
            expect_eq(pinned_level[index], 0, "a pinned page is not pinned again");
            expect(!writable(index), "a page with a writable mapping is not pinned");
            pinned_level[index] = level;
            ++accepted;
        }
        break;
    }
    case 3:
        if (unpin(page) == 0) {
            expect(pinned_level[index] != 0, "a page that is not pinned is not unpinned");
            pinned_level[index] = 0;
            ++accepted;
        }
        break;
    case 4:
        // A few slots only, so that entries meet; by hypercall, or directly where the page is plain memory.
        if (writable(index)) page->word[random(4)] = random_entry();
        else accepted += set_entry(&page->word[random(4)], random_entry(), random(2) * 2) == 0;
        break;
    case 5:
        accepted +=
            update_va_mapping(std::bit_cast<u64>(page), pte(mfn_of(page), random(2) ? pte_rw : pte_ro), random(6)) == 0;
        break;
    }
}

bool rule_holds() {
    for (unsigned i = 0; i < page_count; ++i)
        if (pinned_level[i] != 0 && writable(i)) return expect(false, "no pinned page table is mapped writable");
    // The same through the tables of the set: an L1 may not map a pinned page writable.
    for (unsigned i = 0; i < page_count; ++i) {
        if (pinned_level[i] != 1) continue;
        for (unsigned slot = 0; slot < 4; ++slot)
            for (unsigned j = 0; j < page_count; ++j)
                if (pinned_level[j] != 0 && (pages[i].word[slot] & 3) == 3 &&
                    (pages[i].word[slot] & pte_frame_mask) >> 12 == mfn_of(&pages[j]))
                    return expect(false, "no L1 holds a writable entry of a pinned table");
    }
    return true;
}

void take_down() {
    for (unsigned i = 0; i < page_count; ++i)
        if (pinned_level[i] != 0) expect_eq(unpin(&pages[i]), 0, "a pinned page is unpinned");
    for (unsigned i = 0; i < page_count; ++i) expect_eq(make_writable(&pages[i]), 0, "every page is free again");
    for (unsigned i = 0; i < page_count; ++i) memset(&pages[i], 0, sizeof(Page));
    for (unsigned i = 0; i < page_count; ++i) {
        require_eq(make_readonly(&pages[i]), 0, "made read-only");
        expect_eq(pin(1, &pages[i]), 0, "and no writable reference is left: it can be a table");
        expect_eq(unpin(&pages[i]), 0, "and none");
    }
}

} // namespace

GUEST("pt-fuzz") {
    generator = Random(choose_seed());
    Line() << "seed=" << generator.seed();
    pages = alloc_pages(page_count);
    for (unsigned i = 0; i < steps && rule_holds(); ++i) step();
    Line() << steps << " steps, " << accepted << " accepted";
    expect(accepted > steps / 20, "enough operations are accepted to mean something");
    take_down();
}
