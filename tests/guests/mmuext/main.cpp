// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a kernel that changes an entry and does not flush keeps the old page, and one that flushes has to see the
// new one, whichever flush it chose. Tables are pinned at each level, and as nothing but what they are.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 window = 0x20000000000;

u64 seen() { return *reinterpret_cast<volatile u64*>(window); }

void check_flushes() {
    Page* pages = alloc_pages(2);
    pages[0].word[0] = 0x100;
    pages[1].word[0] = 0x101;
    require_eq(map(window, mfn_of(&pages[0]), pte_rw), 0, "a window");
    static u64 vcpus = 1;
    const u64 bitmap = std::bit_cast<u64>(&vcpus);
    struct Flush {
        u32 command;
        u64 address, vcpus;
    };
    const Flush flushes[] = {{MMUEXT_TLB_FLUSH_LOCAL, 0, 0},      {MMUEXT_INVLPG_LOCAL, window, 0},
                             {MMUEXT_TLB_FLUSH_MULTI, 0, bitmap}, {MMUEXT_INVLPG_MULTI, window, bitmap},
                             {MMUEXT_TLB_FLUSH_ALL, 0, 0},        {MMUEXT_INVLPG_ALL, window, 0}};
    unsigned which = 0;
    for (const Flush& flush : flushes) {
        expect_eq(seen(), 0x100 + which, "the page that was mapped");
        which ^= 1;
        mmuext_op_t op = {};
        op.cmd = flush.command;
        op.arg1.linear_addr = flush.address;
        set_xen_guest_handle(op.arg2.vcpumask, reinterpret_cast<void*>(flush.vcpus));
        expect_eq(update_va_mapping(window, pte(mfn_of(&pages[which]), pte_rw), UVMF_NONE), 0, "another one");
        expect_eq(mmuext_ops(&op, 1), 0, "a flush");
        expect_eq(seen(), 0x100 + which, "and it is there");
    }
    for (const u32 command : {MMUEXT_TLB_FLUSH_MULTI, MMUEXT_INVLPG_MULTI})
        expect_error(mmuext(command, window, 0), "a bitmap at address 0");
    pages[0].word[1] = 0x55;
    expect_eq(mmuext(MMUEXT_FLUSH_CACHE), 0, "MMUEXT_FLUSH_CACHE");
    expect_eq(mmuext(MMUEXT_FLUSH_CACHE_GLOBAL), 0, "MMUEXT_FLUSH_CACHE_GLOBAL");
    expect_eq(pages[0].word[1], 0x55, "the caches are written back");
}

void check_levels() {
    Page* tables = alloc_pages(4);
    constexpr u32 pins[] = {MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE};
    for (unsigned level = 0; level < 3; ++level) {
        if (level != 0) tables[level].word[0] = pte(mfn_of(&tables[level - 1]), pte_rw);
        expect_error(mmuext(pins[level], mfn_of(&tables[level])), "a table that can be written");
        require_eq(make_readonly(&tables[level]), 0, "is read-only");
        expect_eq(mmuext(pins[level], mfn_of(&tables[level])), 0, "is pinned");
        expect_error(mmuext(pins[level], mfn_of(&tables[level])), "once");
        for (const u32 other : pins)
            if (other != pins[level]) expect_error(mmuext(other, mfn_of(&tables[level])), "and at no other level");
        expect_error(make_writable(&tables[level]), "it cannot be written");
    }
    for (unsigned level = 0; level < 2; ++level) {
        expect_eq(unpin(&tables[level]), 0, "a table in use is unpinned");
        expect_error(make_writable(&tables[level]), "and stays one");
    }
    expect_eq(unpin(&tables[2]), 0, "the uppermost one");
    for (unsigned level = 0; level < 3; ++level) expect_eq(make_writable(&tables[level]), 0, "frees them all");
    tables[1].word[0] = pte(mfn_of(&tables[3]), pte_rw); // which is mapped, writable
    require_eq(make_readonly(&tables[1]), 0, "read-only");
    expect_error(mmuext(MMUEXT_PIN_L2_TABLE, mfn_of(&tables[1])), "a table with an entry that is none");
}

} // namespace

GUEST("mmuext") {
    check_flushes();
    check_levels();
    mmuext_op_t op = {};
    op.cmd = 99;
    expect_eq(mmuext_ops(&op, 1), -XEN_ENOSYS, "an unknown operation");
}
