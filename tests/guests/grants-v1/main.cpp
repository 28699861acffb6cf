// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a grant is a promise kept by counts: while a frame is mapped through it the owner cannot take it
// back, and a handle works once. Grants are mapped over loopback (dom0 to itself), read-only and writable, by
// address and by page-table entry, and every lie about reference, domain, address or handle is told once.

#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit grant_entry_v1_t* table = nullptr;
constinit Page* shared = nullptr;
constinit Page* window = nullptr; // its own frame is exchanged for the granted one

u64 window_address() { return std::bit_cast<u64>(window); }

u16 flags_of(grant_ref_t ref) { return __atomic_load_n(&table[ref].flags, __ATOMIC_SEQ_CST); }

void check_queries() {
    gnttab_query_size_t size = {};
    size.dom = DOMID_SELF;
    expect_eq(grant_table_op(GNTTABOP_query_size, &size), 0, "GNTTABOP_query_size");
    expect(size.status == GNTST_okay && size.nr_frames >= 1 && size.max_nr_frames >= size.nr_frames, "its answer");
    gnttab_get_version_t version = {};
    version.dom = DOMID_SELF;
    if (grant_table_op(GNTTABOP_get_version, &version) == 0) expect_eq(version.version, 1, "version 1 is in use");
    static xen_pfn_t frames[64];
    std::int16_t status = 0;
    const long result = setup_table(size.max_nr_frames + 1, frames, status);
    expect(result < 0 || status < 0, "more frames than allowed");
    expect_eq(setup_table(2, frames, status), 0, "a second frame");
    expect(status == GNTST_okay && frames[0] != frames[1], "is another frame");
    gnttab_set_version_t bad = {.version = 3};
    expect_error(grant_table_op(GNTTABOP_set_version, &bad), "version 3");
    expect_error(grant_table_op(99, &bad), "an unknown operation");
}

void check_writable() {
    grant_access(table, 20, 0, mfn_of(shared));
    shared->word[0] = 0x1111;
    const long handle = map_grant(window_address(), 20, GNTMAP_host_map);
    require_eq(handle >= 0, true, "a writable grant is mapped");
    expect_eq(flags_of(20) & (GTF_reading | GTF_writing), GTF_reading | GTF_writing, "the entry shows it");
    expect_eq(window->word[0], 0x1111, "the owner's data is seen");
    window->word[1] = 0x2222;
    expect_eq(shared->word[1], 0x2222, "and can be written");
    const long second = map_grant(std::bit_cast<u64>(alloc_page()), 20, GNTMAP_host_map);
    expect(second >= 0 && second != handle, "a second mapping has its own handle");
    expect_eq(unmap_grant(window_address(), static_cast<u32>(handle)), GNTST_okay, "the first is unmapped");
    expect(catch_trap([] { static_cast<volatile u64&>(window->word[0]) = 1; }).is(vector_pf, 2), "and gone");
    expect((flags_of(20) & GTF_writing) != 0, "the second one still shows");
    expect(unmap_grant(window_address(), static_cast<u32>(handle)) < 0, "a handle works once");
    expect(unmap_grant(window_address(), static_cast<u32>(second)) < 0, "a handle works only for its own address");
}

void check_readonly() {
    grant_access(table, 21, 0, mfn_of(shared), true);
    expect(map_grant(window_address(), 21, GNTMAP_host_map) < 0, "a read-only grant is not mapped writable");
    const long handle = map_grant(window_address(), 21, GNTMAP_host_map | GNTMAP_readonly);
    require_eq(handle >= 0, true, "it is mapped read-only");
    expect_eq(flags_of(21) & (GTF_reading | GTF_writing), GTF_reading, "the entry shows reading only");
    expect_eq(window->word[0], 0x1111, "the data is seen");
    expect(catch_trap([] { static_cast<volatile u64&>(window->word[0]) = 1; }).is(vector_pf, 3), "not written");
    expect_eq(unmap_grant(window_address(), static_cast<u32>(handle)), GNTST_okay, "it is unmapped");
    expect_eq(flags_of(21) & (GTF_reading | GTF_writing), 0, "the entry is free again");
}

void check_by_entry() {
    const u64* entry = entry_of(window_address());
    const long handle = map_grant(machine_address(entry), 20, GNTMAP_host_map | GNTMAP_contains_pte);
    require_eq(handle >= 0, true, "a grant is mapped by its page-table entry");
    mmuext(MMUEXT_INVLPG_LOCAL, window_address());
    expect_eq(window->word[0], 0x1111, "the data is seen");
    expect_eq(unmap_grant(machine_address(entry), static_cast<u32>(handle)), GNTST_okay, "and unmapped the same way");
    expect_eq(*entry & pte_present, 0, "the entry is clear");
}

void check_lies() {
    const u32 map_flags = GNTMAP_host_map;
    expect_eq(map_grant(window_address(), 0xffffffff, map_flags), GNTST_bad_gntref, "a reference beyond the table");
    expect(map_grant(window_address(), 30, map_flags) < 0, "a reference that grants nothing");
    expect_eq(map_grant(window_address(), 20, map_flags, 999), GNTST_bad_domain, "a domain that is not there");
    grant_access(table, 22, 5, mfn_of(shared));
    expect(map_grant(window_address(), 22, map_flags) < 0, "a grant for somebody else");
    grant_access(table, 23, 0, root_mfn());
    expect(map_grant(window_address(), 23, map_flags) < 0, "a page table, writable");
    grant_access(table, 24, 0, 0xfffffff0);
    expect(map_grant(window_address(), 24, map_flags) < 0, "a frame beyond the machine");
    expect_eq(map_grant(window_address(), 20, 0), GNTST_bad_gntref, "a mapping of nothing");
    expect(map_grant(0x8000000000000000, 20, map_flags) < 0, "a non-canonical address");
    expect(map_grant(HYPERVISOR_VIRT_START, 20, map_flags) < 0, "an address of the hypervisor");
    expect(map_grant(0x7f0000000000, 20, map_flags) < 0, "an address without a page table");
    expect(map_grant(mfn_of(shared) << 12, 20, map_flags | GNTMAP_contains_pte) < 0, "an entry in no page table");
    expect(unmap_grant(window_address(), 0xffffffff) < 0, "a handle beyond the table");
    expect(unmap_grant(window_address(), 777) < 0, "a handle of nothing");
    expect_eq(flags_of(22) & (GTF_reading | GTF_writing), 0, "nothing of it stays");
}

void check_protection() {
    Page* page = alloc_page();
    grant_access(table, 25, 0, mfn_of(page));
    const long handle = map_grant(window_address(), 25, GNTMAP_host_map);
    require_eq(handle >= 0, true, "a page is granted and mapped");
    require_eq(make_readonly(page), 0, "its owner gives up writing");
    expect_error(pin(1, page), "but it cannot be a page table while the grant is mapped writable");
    expect_eq(unmap_grant(window_address(), static_cast<u32>(handle)), GNTST_okay, "the grant is unmapped");
    expect_eq(pin(1, page), 0, "now it can");
    expect(map_grant(window_address(), 25, GNTMAP_host_map) < 0, "and the grant cannot be mapped writable");
    expect_eq(unpin(page), 0, "until it is none");
}

/// GNTTABOP_unmap_and_replace: the entry at `new_address` moves to where the grant was.
long replace(u64 address, u64 new_address, grant_handle_t handle) {
    gnttab_unmap_and_replace_t op = {};
    op.host_addr = address;
    op.new_addr = new_address;
    op.handle = handle;
    const long result = grant_table_op(GNTTABOP_unmap_and_replace, &op);
    return result != 0 ? result : op.status;
}

void check_replacement() {
    Page* own = alloc_page();
    own->word[0] = 0x3333;
    const u64 own_address = std::bit_cast<u64>(own);
    const long handle = map_grant(window_address(), 20, GNTMAP_host_map);
    require_eq(handle >= 0, true, "a grant is mapped");
    if (is_streak()) { // the incumbent takes the new entry away before it looks at the other one
        expect(replace(own_address, window_address(), static_cast<u32>(handle)) < 0, "an address that maps no grant");
        expect_eq(window->word[0], 0x1111, "it stays");
    }
    expect_eq(replace(window_address(), own_address, static_cast<u32>(handle)), GNTST_okay, "it is replaced");
    expect_eq(window->word[0], 0x3333, "by the other page");
    expect_eq(*entry_of(own_address) & pte_present, 0, "which has left its place");
    expect(replace(window_address(), own_address, static_cast<u32>(handle)) < 0, "a handle works once");
}

std::int16_t swap(grant_ref_t a, grant_ref_t b) {
    gnttab_swap_grant_ref_t op = {.ref_a = a, .ref_b = b, .status = 99};
    require_eq(grant_table_op(GNTTABOP_swap_grant_ref, &op), 0, "GNTTABOP_swap_grant_ref");
    return op.status;
}

void check_swap() {
    grant_access(table, 40, 0, mfn_of(shared));
    grant_access(table, 41, 7, mfn_of(window), true);
    expect_eq(swap(40, 41), GNTST_okay, "two entries change places");
    expect(table[40].domid == 7 && table[41].domid == 0 && table[41].frame == mfn_of(shared), "whole");
    expect_eq(swap(40, 0xffffffff), GNTST_bad_gntref, "one beyond the table");
    expect(swap(20, 40) < 0, "one that is in use");
}

long flush_cache(u64 mfn, u16 offset, u16 length, u32 what) {
    gnttab_cache_flush_t op = {};
    op.a.dev_bus_addr = mfn << 12;
    op.offset = offset;
    op.length = length;
    op.op = what;
    return grant_table_op(GNTTABOP_cache_flush, &op);
}

void check_cache_flush() {
    const u64 mfn = mfn_of(shared);
    constexpr u32 both = GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL;
    expect_eq(flush_cache(mfn, 8, 64, both), 0, "GNTTABOP_cache_flush");
    expect_eq(flush_cache(mfn, 4095, 2, both), -XEN_EINVAL, "beyond the page");
    expect_error(flush_cache(mfn, 0, 64, 8), "an unknown way");
    expect_error(flush_cache(0xfee00, 0, 64, both), "of a device");
}

} // namespace

GUEST("grants-v1") {
    shared = alloc_page();
    window = alloc_page();
    table = init_grants_v1();
    check_queries();
    check_writable();
    check_readonly();
    check_by_entry();
    check_lies();
    check_protection();
    check_replacement();
    check_swap();
    check_cache_flush();
}
