// SPDX-License-Identifier: GPL-2.0-only
//
// The story: page tables are where a guest attacks. Each entry it must not be able to install is offered here
// by mmu_update and by pinning: writable views of tables, frames of nobody, of the hypervisor or beyond the
// machine, superpages, tables of a wrong level, the hypervisor's slots. All of them have to fail, none may
// leave a trace, and the guest has to live on.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit Page* tables[5] = {}; // a pinned tower, [1] to [4]
constinit u64 stray_mfn = 0;    // a frame that was ours

void build() {
    for (int level = 1; level <= 4; ++level) {
        tables[level] = alloc_page();
        if (level > 1) tables[level]->word[0] = pte(mfn_of(tables[level - 1]), pte_rw);
        require_eq(make_readonly(tables[level]), 0, "a table");
    }
    require_eq(pin(4, tables[4]), 0, "a tower of tables");

    Page* gift = alloc_page();
    stray_mfn = mfn_of(gift);
    require_eq(update_va_mapping(std::bit_cast<u64>(gift), 0), 0, "a page is unmapped");
    xen_memory_reservation_t reservation = {};
    xen_pfn_t frame = stray_mfn;
    set_xen_guest_handle(reservation.extent_start, &frame);
    reservation.nr_extents = 1;
    reservation.domid = DOMID_SELF;
    require_eq(memory_op(XENMEM_decrease_reservation, &reservation), 1, "and given back");
}

void refuse(int level, unsigned slot, u64 value, std::string_view text) {
    const u64 before = tables[level]->word[slot];
    if (!expect_error(set_entry(&tables[level]->word[slot], value), text))
        set_entry(&tables[level]->word[slot], before);
    expect_eq(tables[level]->word[slot], before, "a refused entry leaves no trace");
}

void check_l1() {
    for (int level = 1; level <= 4; ++level) {
        refuse(1, 1, pte(mfn_of(tables[level]), pte_rw), "a writable view of a table");
        expect_eq(set_entry(&tables[1]->word[1], pte(mfn_of(tables[level]), pte_ro)), 0, "a read-only view is fine");
        expect_eq(set_entry(&tables[1]->word[1], 0), 0, "and goes");
    }
    refuse(1, 1, pte(root_mfn(), pte_rw), "a writable view of the live L4");
    refuse(1, 1, pte(stray_mfn, pte_ro), "a frame of nobody, read-only");
    refuse(1, 1, pte(stray_mfn, pte_rw), "a frame of nobody, writable");
    refuse(1, 1, 1ull << 51 | pte_rw, "a frame beyond the machine's address width");
    refuse(1, 1, pte(0xfee00, pte_rw), "the local APIC");
    const u64 data = mfn_of(alloc_page());
    expect_eq(set_entry(&tables[1]->word[1], pte(data, pte_rw | 1u << 8)), 0, "a global page is no crime");
    expect_eq(tables[1]->word[1] >> 12, pte(data, 0) >> 12, "and mapped");
    expect_eq(set_entry(&tables[1]->word[1], 0), 0, "and goes");

    xen_machphys_mfn_list_t list = {};
    xen_pfn_t frames[4] = {};
    list.max_extents = 4;
    set_xen_guest_handle(list.extent_start, frames);
    require_eq(memory_op(XENMEM_machphys_mfn_list, &list), 0, "the frames of the M2P");
    refuse(1, 1, pte(frames[0], pte_rw), "a writable view of the M2P");
    mmu_update_t update = {machine_address(&tables[1]->word[1]), pte(frames[0], pte_rw)};
    expect_error(mmu_update_op(&update, 1, nullptr, DOMID_XEN), "a writable view of the M2P as DOMID_XEN");
    update.val = pte(frames[0], pte_ro);
    expect_eq(mmu_update_op(&update, 1, nullptr, DOMID_XEN), 0, "a read-only view as DOMID_XEN is dom0's right");
    expect_eq(set_entry(&tables[1]->word[1], 0), 0, "and goes");
}

void check_upper() {
    const u64 data = mfn_of(alloc_page());
    Page* l1 = alloc_page();
    require_eq(make_readonly(l1), 0, "a spare L1");
    for (int level = 2; level <= 4; ++level) {
        refuse(level, 1, pte(data, pte_rw), "a page that is mapped writable as a table");
        refuse(level, 1, pte(mfn_of(l1), pte_rw | pte_pse), "a superpage");
        refuse(level, 0, tables[level]->word[0] | pte_pse, "a table turned into a superpage");
        refuse(level, 1, pte(stray_mfn, pte_rw), "a frame of nobody as a table");
        refuse(level, 1, 1ull << 51 | pte_rw, "a table beyond the machine's address width");
        if (level > 2) refuse(level, 1, pte(mfn_of(tables[1]), pte_rw), "an L1 where a higher table belongs");
        if (level < 4) refuse(level, 1, pte(mfn_of(tables[4]), pte_rw), "an L4 where a lower table belongs");
    }
    for (unsigned slot : {256u, 260u, 261u, 271u}) {
        refuse(4, slot, pte(mfn_of(tables[3]), pte_rw), "an entry in a slot of the hypervisor");
        refuse(4, slot, pte(mfn_of(tables[4]), pte_ro), "a linear entry in a slot of the hypervisor");
        refuse(4, slot, 0, "clearing a slot of the hypervisor");
    }
}

void check_addresses() {
    const u64 entry = pte(mfn_of(tables[1]), pte_ro);
    expect_error(update_va_mapping(HYPERVISOR_VIRT_START, entry), "update_va_mapping in the M2P");
    expect_error(update_va_mapping(HYPERVISOR_VIRT_START + (3ull << 39), entry), "in the frame table");
    expect_error(update_va_mapping(0x8000000000000000, entry), "of a non-canonical address");
    expect_error(update_va_mapping(0x7f0000000000, entry), "without an L1");
    expect_error(update_va_mapping(std::bit_cast<u64>(tables[2]), pte(mfn_of(tables[2]), pte_rw)), "of a table");
    mmu_update_t update = {stray_mfn << 12, 0};
    expect_error(mmu_update_op(&update, 1), "mmu_update inside a frame of nobody");
    update.ptr = 1ull << 50;
    expect_error(mmu_update_op(&update, 1), "mmu_update beyond the machine");
    update.ptr = 0xfee00000;
    expect_error(mmu_update_op(&update, 1), "mmu_update of the local APIC");
}

void check_mmuext() {
    for (unsigned command : {MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L4_TABLE, MMUEXT_UNPIN_TABLE, MMUEXT_NEW_BASEPTR,
                             MMUEXT_NEW_USER_BASEPTR, MMUEXT_CLEAR_PAGE}) {
        expect_error(mmuext(command, stray_mfn), "an mmuext operation on a frame of nobody");
        expect_error(mmuext(command, 1ull << 40), "an mmuext operation beyond the machine");
    }
    expect_error(mmuext(MMUEXT_NEW_BASEPTR, mfn_of(tables[3])), "an L3 as base");
    expect_error(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(tables[1])), "an L1 as user base");
    expect_error(mmuext(MMUEXT_CLEAR_PAGE, mfn_of(tables[1])), "clearing a table");
    expect_error(mmuext(MMUEXT_COPY_PAGE, mfn_of(tables[1]), mfn_of(tables[2])), "copying over a table");
    expect_error(mmuext(999), "an unknown mmuext operation");
    expect_eq(mmuext(MMUEXT_NEW_BASEPTR, root_mfn()), 0, "the guest lives on with its tables");
}

} // namespace

GUEST("pt-refusals") {
    build();
    check_l1();
    check_upper();
    check_addresses();
    check_mmuext();
    expect_eq(unpin(tables[4]), 0, "the tower goes");
    for (int level = 1; level <= 4; ++level)
        expect_eq(make_writable(tables[level]), 0, "and nothing refused holds a reference");
}
