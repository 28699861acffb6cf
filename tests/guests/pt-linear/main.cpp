// SPDX-License-Identifier: GPL-2.0-only
//
// The story: some kernels put an L4 into one of its own slots and so see all their tables at fixed addresses.
// Read-only that is harmless and allowed; writable it would hand over the tables; and the reference a table
// has on itself must not keep it alive for ever.
//
// again: xpti=yes

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr unsigned slot = 300;
constexpr u64 linear_base = 0xffff000000000000 | static_cast<u64>(slot) << 39;
constexpr u64 linear_l4 =
    linear_base | static_cast<u64>(slot) << 30 | static_cast<u64>(slot) << 21 | static_cast<u64>(slot) << 12;

void check_self() {
    const u64* own = entry_of(linear_base, 4);
    expect_error(set_entry(own, pte(root_mfn(), pte_rw)), "a writable entry of an L4 in itself");
    const long result = set_entry(own, pte(root_mfn(), pte_ro));
    if (result == -XEN_EINVAL) skip("linear page tables are not offered");
    require_eq(result, 0, "a read-only entry of an L4 in itself");
    const auto* linear = reinterpret_cast<volatile u64*>(linear_l4);
    const u64* normal = entry_of(0, 4);
    unsigned different = 0;
    // The slot itself may lead to a copy without the hypervisor's entries (page-table isolation).
    for (unsigned i = 272; i < 512; ++i) different += i != slot && (linear[i] ^ normal[i]) & pte_frame_mask ? 1 : 0;
    expect_eq(different, 0, "shows the L4 at the linear address");
    expect_eq(linear[slot] & (pte_present | pte_write), pte_present, "itself read-only");
    const u64 address = virtual_base + 0x100000;
    const auto* l1 = reinterpret_cast<volatile u64*>(linear_base + ((address & 0xffffffffffff) >> 9));
    expect_eq(*l1 & pte_frame_mask, *entry_of(address) & pte_frame_mask, "and every L1 below it");
    expect(catch_trap([l1] { *const_cast<volatile u64*>(l1) = 0; }).is(vector_pf, 3), "none of them writable");
    expect_error(set_entry(own, pte(root_mfn(), pte_rw)), "it cannot be made writable later");
    expect_eq(set_entry(own, 0), 0, "and it goes");
    expect_eq(*own, 0, "for good");
}

void check_other() {
    Page* one = alloc_page();
    require_eq(make_readonly(one), 0, "another L4");
    require_eq(pin(4, one), 0, "is pinned");
    const u64* own = entry_of(linear_base, 4);
    const long result = set_entry(own, pte(mfn_of(one), pte_ro));
    if (result == 0) {
        const auto* linear = reinterpret_cast<volatile u64*>(linear_l4);
        (void)linear;
        expect_error(make_writable(one), "an L4 seen in another one is protected");
        expect_eq(set_entry(own, 0), 0, "the entry goes");
    } else {
        expect_error(result, "an L4 inside another one is taken or refused");
    }
    expect_error(set_entry(own, pte(mfn_of(one), pte_rw)), "a writable entry of another L4");
    expect_eq(unpin(one), 0, "the other L4 is unpinned");
    expect_eq(make_writable(one), 0, "and free");
}

void check_release() {
    Page* top = alloc_page();
    top->word[slot] = pte(mfn_of(top), pte_ro);
    require_eq(make_readonly(top), 0, "an L4 that holds itself");
    const long result = pin(4, top);
    if (result == 0) {
        expect_error(make_writable(top), "is pinned and protected");
        expect_eq(unpin(top), 0, "and can be unpinned");
    }
    expect_eq(make_writable(top), 0, "its reference on itself does not keep it");
    top->word[slot] = pte(mfn_of(top), pte_rw);
    require_eq(make_readonly(top), 0, "an L4 that holds itself writable");
    expect_error(pin(4, top), "is refused");
    expect_eq(make_writable(top), 0, "without a trace");
}

} // namespace

GUEST("pt-linear") {
    check_self();
    check_other();
    check_release();
}
