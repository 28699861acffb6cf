// SPDX-License-Identifier: GPL-2.0-only
//
// The story: GNTTABOP_copy moves bytes between frames that nobody maps: network packets go that way. A length
// over the page's end leaks the neighbour, a read-only grant as target is a write to what was never given,
// and one bad entry of a batch must not spoil the others.

#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit grant_entry_v1_t* table = nullptr;
constinit Page* source = nullptr;
constinit Page* target = nullptr;

gnttab_copy_t request(u16 from, u16 to, u16 length) {
    gnttab_copy_t op = {};
    op.source.u.gmfn = mfn_of(source);
    op.source.domid = DOMID_SELF;
    op.source.offset = from;
    op.dest.u.gmfn = mfn_of(target);
    op.dest.domid = DOMID_SELF;
    op.dest.offset = to;
    op.len = length;
    op.status = 77;
    return op;
}

long copy(gnttab_copy_t op) { return grant_table_op(GNTTABOP_copy, &op) == 0 ? op.status : -1000; }

void refill() {
    for (unsigned i = 0; i < page_size; ++i) {
        reinterpret_cast<u8*>(source)[i] = static_cast<u8>(i * 7 + i / 256);
        reinterpret_cast<u8*>(target)[i] = 0xee;
    }
}

/// True when exactly the `length` bytes at `to` were copied from `from`.
bool copied(unsigned from, unsigned to, unsigned length) {
    const u8 *s = reinterpret_cast<u8*>(source), *t = reinterpret_cast<u8*>(target);
    for (unsigned i = 0; i < page_size; ++i) {
        const u8 wanted = i >= to && i < to + length ? s[from + i - to] : 0xee;
        if (t[i] != wanted) return false;
    }
    return true;
}

void check_frames() {
    struct Case {
        u16 from, to, length;
    };
    for (const Case& c : {Case{0, 0, 4096}, Case{1, 3, 1}, Case{4095, 0, 1}, Case{100, 4000, 96}, Case{7, 9, 1500}}) {
        refill();
        expect_eq(copy(request(c.from, c.to, c.length)), GNTST_okay, "a copy");
        expect(copied(c.from, c.to, c.length), "moves its bytes and no others");
    }
    refill();
    expect(copy(request(1, 0, 4096)) < 0, "a source over the page's end");
    expect(copy(request(0, 1, 4096)) < 0, "a target over the page's end");
    expect(copy(request(4096, 0, 1)) < 0, "an offset behind the page");
    expect(copy(request(0xffff, 0, 8)) < 0, "an offset that wraps");
    expect(copied(0, 0, 0), "none of them moves a byte");
}

void check_references() {
    grant_access(table, 20, 0, mfn_of(source), true);
    grant_access(table, 21, 0, mfn_of(target));
    refill();
    gnttab_copy_t op = request(10, 20, 300);
    op.flags = GNTCOPY_source_gref | GNTCOPY_dest_gref;
    op.source.u.ref = 20;
    op.source.domid = 0;
    op.dest.u.ref = 21;
    op.dest.domid = 0;
    expect_eq(copy(op), GNTST_okay, "a copy between two grants");
    expect(copied(10, 20, 300), "moves its bytes and no others");
    expect_eq(table[20].flags & (GTF_reading | GTF_writing), 0, "the source is free again");
    expect_eq(table[21].flags & (GTF_reading | GTF_writing), 0, "the target is free again");

    refill();
    gnttab_copy_t bad = op;
    bad.source.u.ref = 21;
    bad.dest.u.ref = 20;
    expect(copy(bad) < 0, "a read-only grant is no target");
    bad = op;
    bad.source.u.ref = 0xffffffff;
    expect_eq(copy(bad), GNTST_bad_gntref, "a reference beyond the table");
    bad = op;
    bad.dest.u.ref = 40;
    expect(copy(bad) < 0, "a reference that grants nothing");
    bad = op;
    bad.source.domid = 999;
    expect_eq(copy(bad), GNTST_bad_domain, "a domain that is not there");
    bad = request(0, 0, 64);
    bad.source.domid = 0;
    bad.dest.u.gmfn = root_mfn();
    expect(copy(bad) < 0, "a page table is no target");
    bad = request(0, 0, 64);
    bad.dest.u.gmfn = 1ull << 40;
    expect(copy(bad) < 0, "a frame beyond the machine is no target");
    bad = request(0, 0, 64);
    bad.source.u.gmfn = 1ull << 40;
    expect(copy(bad) < 0, "nor a source");
    expect(copied(0, 0, 0), "none of them moves a byte");
}

void check_batch() {
    refill();
    gnttab_copy_t ops[4] = {request(0, 0, 16), request(0, 4090, 16), request(16, 16, 16), request(32, 32, 16)};
    expect_eq(grant_table_op(GNTTABOP_copy, ops, 4), 0, "a batch");
    expect(ops[0].status == GNTST_okay && ops[2].status == GNTST_okay && ops[3].status == GNTST_okay, "good ones");
    expect(ops[1].status < 0, "and a bad one between them");
    expect(copied(0, 0, 48), "the good ones are done");
    static gnttab_copy_t many[256];
    for (auto& op : many) op = request(0, 0, 4096);
    expect_eq(grant_table_op(GNTTABOP_copy, many, 256), 0, "a batch of 256 pages");
    unsigned good = 0;
    for (const auto& op : many) good += op.status == GNTST_okay;
    expect_eq(good, 256, "is done whole");
    expect_eq(grant_table_op(GNTTABOP_copy, ops, 0), 0, "an empty batch");
    expect_eq(grant_table_op(GNTTABOP_copy, nullptr, 2), -XEN_EFAULT, "a batch at address 0");
}

} // namespace

GUEST("grant-copy") {
    source = alloc_page();
    target = alloc_page();
    table = init_grants_v1();
    check_frames();
    check_references();
    check_batch();
}
