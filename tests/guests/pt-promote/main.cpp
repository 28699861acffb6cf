// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a frame becomes a page table only when nobody can write it and every entry in it is harmless; it
// becomes writable again only when the last use as a table is gone. One count wrong and the guest edits live
// page tables. Tables of all four levels are pinned, used, and taken down again in several orders.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

struct Tower {
    Page *data, *l1, *l2, *l3, *l4;
};

// A private address space of one page at slot 0 of every level, not yet seen by the hypervisor.
Tower build_tower() {
    Tower t = {alloc_page(), alloc_page(), alloc_page(), alloc_page(), alloc_page()};
    t.l1->word[0] = pte(mfn_of(t.data), pte_rw);
    t.l2->word[0] = pte(mfn_of(t.l1), pte_rw);
    t.l3->word[0] = pte(mfn_of(t.l2), pte_rw);
    t.l4->word[0] = pte(mfn_of(t.l3), pte_rw);
    for (Page* page : {t.l1, t.l2, t.l3, t.l4}) require_eq(make_readonly(page), 0, "a future table is made read-only");
    return t;
}

void check_empty() {
    for (int level = 1; level <= 4; ++level) {
        Page* page = alloc_page();
        expect_error(pin(level, page), "a page that is mapped writable cannot be pinned");
        expect_eq(make_readonly(page), 0, "the page is made read-only");
        expect_eq(pin(level, page), 0, "then it can be pinned");
        expect_error(make_writable(page), "and not be mapped writable");
        expect_eq(make_readonly(page), 0, "but read-only");
        expect_error(pin(level, page), "it cannot be pinned twice");
        expect_error(pin(level % 4 + 1, page), "nor at another level");
        expect_eq(unpin(page), 0, "it is unpinned");
        expect_error(unpin(page), "once");
        expect_eq(make_writable(page), 0, "and writable again");
        page->word[511] = level;
        expect_eq(page->word[511], level, "and holds what is written");
    }
}

void check_tower() {
    const Tower t = build_tower();
    expect_eq(pin(4, t.l4), 0, "a tower of tables is pinned by its top");
    for (Page* page : {t.l1, t.l2, t.l3, t.l4}) expect_error(make_writable(page), "every table in it is protected");
    expect_error(pin(1, t.l2), "an L2 in use is no L1");
    expect_eq(pin(1, t.l1), 0, "an L1 in use can be pinned as well");
    expect_error(pin(1, t.data), "the writable page below is no table");
    expect_eq(unpin(t.l4), 0, "the top is unpinned");
    expect_eq(make_writable(t.l4), 0, "the L4 is free");
    expect_eq(make_writable(t.l3), 0, "the L3 is free");
    expect_eq(make_writable(t.l2), 0, "the L2 is free");
    expect_error(make_writable(t.l1), "the L1 is still pinned");
    expect_error(pin(1, t.data), "and still maps its page writable");
    expect_eq(unpin(t.l1), 0, "the L1 is unpinned");
    expect_eq(make_writable(t.l1), 0, "the L1 is free");
    expect_eq(make_readonly(t.data), 0, "the data page has no writable mapping left");
    expect_eq(pin(1, t.data), 0, "and can be a table itself");
    expect_eq(unpin(t.data), 0, "and back");
    expect_eq(make_writable(t.data), 0, "to data");
}

void check_sharing() {
    const Tower t = build_tower();
    Page* second = alloc_page();
    second->word[7] = pte(mfn_of(t.l2), pte_rw);
    require_eq(make_readonly(second), 0, "a second L3");
    expect_eq(pin(3, t.l3), 0, "one L3 over an L2");
    expect_eq(pin(3, second), 0, "two L3 over the same L2");
    expect_eq(unpin(t.l3), 0, "one goes");
    expect_error(make_writable(t.l2), "the other still holds it");
    expect_eq(set_entry(&second->word[7], 0), 0, "until its entry is cleared");
    expect_eq(make_writable(t.l2), 0, "then it is free");
    expect_eq(unpin(second), 0, "and the second L3 too");
}

void check_refused_content() {
    const Tower t = build_tower();
    require_eq(make_writable(t.l1), 0, "an L1 before it is used");
    t.l1->word[300] = pte(mfn_of(t.l2), pte_rw);
    require_eq(make_readonly(t.l1), 0, "gets an entry that makes the L2 writable");
    expect_error(pin(2, t.l2), "a tower with a writable view of itself is refused");
    expect_eq(make_writable(t.l1), 0, "nothing of it stays: L1");
    expect_eq(make_writable(t.l2), 0, "nothing of it stays: L2");
}

void check_new_root() {
    Page* top = alloc_page();
    const auto* current = entry_of(0, 4);
    for (unsigned slot = 0; slot < 512; ++slot)
        if (slot < 256 || slot >= 272) top->word[slot] = current[slot];
    require_eq(make_readonly(top), 0, "a copy of the live L4");
    expect_error(mmuext(MMUEXT_NEW_BASEPTR, mfn_of(alloc_page())), "a writable page is no L4");
    expect_eq(pin(4, top), 0, "the copy is pinned");
    expect_eq(mmuext(MMUEXT_NEW_BASEPTR, mfn_of(top)), 0, "and loaded");
    expect_eq(m2p(mfn_of(top)), pfn_of(top), "the M2P is seen through it");
    expect_eq(unpin(top), 0, "the loaded L4 may lose its pin");
    expect_error(make_writable(top), "but stays protected while loaded");
    expect_eq(mmuext(MMUEXT_NEW_BASEPTR, root_mfn()), 0, "the old L4 is loaded again");
    expect_eq(make_writable(top), 0, "and the copy is free");
}

} // namespace

GUEST("pt-promote") {
    check_empty();
    check_tower();
    check_sharing();
    check_refused_content();
    check_new_root();
}
