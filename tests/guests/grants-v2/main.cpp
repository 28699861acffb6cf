// SPDX-License-Identifier: GPL-2.0-only
//
// The story: version 2 grants keep their status apart and know sub-page and transitive grants. A hypervisor
// may leave them out, but then it has to say so for good and version 1 has to go on working; if it offers
// them, each kind has to keep its limits.

#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit grant_entry_v2_t* table = nullptr;
constinit grant_status_t* statuses = nullptr;

long set_version(u32 version) {
    gnttab_set_version_t op = {.version = version};
    return grant_table_op(GNTTABOP_set_version, &op);
}

u32 get_version() {
    gnttab_get_version_t op = {};
    op.dom = DOMID_SELF;
    return grant_table_op(GNTTABOP_get_version, &op) == 0 ? op.version : 0;
}

void check_refused() {
    Line() << "version 2 is not offered";
    expect_eq(set_version(2), -XEN_ENOSYS, "and stays so");
    const u32 version = get_version();
    expect(version == 1 || version == 0, "version 1 stays in use");
    grant_entry_v1_t* entries = init_grants_v1();
    Page *shared = alloc_page(), *window = alloc_page();
    shared->word[0] = 7;
    grant_access(entries, 20, 0, mfn_of(shared));
    const long handle = map_grant(std::bit_cast<u64>(window), 20, GNTMAP_host_map);
    expect(handle >= 0 && window->word[0] == 7, "and version 1 grants work");
}

u64 status_frame() {
    u64 frame = 0;
    gnttab_get_status_frames_t op = {};
    op.nr_frames = 1;
    op.dom = DOMID_SELF;
    set_xen_guest_handle(op.frame_list, &frame);
    require_eq(grant_table_op(GNTTABOP_get_status_frames, &op), 0, "GNTTABOP_get_status_frames");
    require_eq(op.status, GNTST_okay, "its status");
    return frame;
}

void set_up() {
    xen_pfn_t frame = 0;
    std::int16_t status = 0;
    require_eq(setup_table(1, &frame, status), 0, "the table");
    Page* window = alloc_page();
    require_eq(update_va_mapping(std::bit_cast<u64>(window), pte(frame, pte_rw)), 0, "is mapped");
    table = reinterpret_cast<grant_entry_v2_t*>(window);

    window = alloc_page();
    require_eq(update_va_mapping(std::bit_cast<u64>(window), pte(status_frame(), pte_rw)), 0, "the status is mapped");
    statuses = reinterpret_cast<grant_status_t*>(window);
}

void check_full_page() {
    Page *shared = alloc_page(), *window = alloc_page();
    shared->word[0] = 0x77;
    table[20].full_page.frame = mfn_of(shared);
    table[20].hdr.domid = 0;
    __atomic_store_n(&table[20].hdr.flags, GTF_permit_access, __ATOMIC_SEQ_CST);
    const long handle = map_grant(std::bit_cast<u64>(window), 20, GNTMAP_host_map);
    require_eq(handle >= 0, true, "a full page is mapped");
    expect_eq(window->word[0], 0x77, "and seen");
    expect_eq(statuses[20], GTF_reading | GTF_writing, "the status page shows it");
    expect_eq(table[20].hdr.flags, GTF_permit_access, "the entry does not");
    expect_error(set_version(1), "the version cannot change while a grant is in use");
    expect_eq(unmap_grant(std::bit_cast<u64>(window), static_cast<u32>(handle)), GNTST_okay, "it is unmapped");
    expect_eq(statuses[20], 0, "the status is clear");
}

long copy_from(grant_ref_t ref, u16 offset, u16 length, Page* to) {
    gnttab_copy_t op = {};
    op.source.u.ref = ref;
    op.source.domid = 0;
    op.source.offset = offset;
    op.dest.u.gmfn = mfn_of(to);
    op.dest.domid = DOMID_SELF;
    op.len = length;
    op.flags = GNTCOPY_source_gref;
    return grant_table_op(GNTTABOP_copy, &op) == 0 ? op.status : -1000;
}

void check_sub_page() {
    Page *shared = alloc_page(), *target = alloc_page();
    for (unsigned i = 0; i < 512; ++i) shared->word[i] = i;
    table[21].sub_page.frame = mfn_of(shared);
    table[21].sub_page.page_off = 1024;
    table[21].sub_page.length = 512;
    table[21].hdr.domid = 0;
    __atomic_store_n(&table[21].hdr.flags, GTF_permit_access | GTF_sub_page | GTF_readonly, __ATOMIC_SEQ_CST);
    expect_eq(copy_from(21, 1024, 512, target), GNTST_okay, "the granted part is copied");
    expect(target->word[0] == 128 && target->word[63] == 191, "to the word");
    expect(copy_from(21, 0, 512, target) < 0, "what lies before it is not");
    expect(copy_from(21, 1024, 513, target) < 0, "nor what lies behind it");
    expect(map_grant(std::bit_cast<u64>(alloc_page()), 21, GNTMAP_host_map | GNTMAP_readonly) < 0,
           "a sub-page grant cannot be mapped");
}

long reservation(int command, u64& number) {
    xen_memory_reservation_t op = {};
    set_xen_guest_handle(op.extent_start, &number);
    op.nr_extents = 1;
    op.domid = DOMID_SELF;
    return memory_op(command, &op);
}

/// The frames of statuses go back to the hypervisor. Whoever gets one next shares it with nobody, although the processor
/// was never told that it is not mapped any more.
void check_stale_translation() {
    auto* window = reinterpret_cast<volatile u64*>(alloc_page());
    Page* other = alloc_page();
    u64 given = mfn_of(other);
    require_eq(update_va_mapping(std::bit_cast<u64>(other), 0), 0, "a page less");
    require_eq(reservation(XENMEM_decrease_reservation, given), 1, "makes room");
    require_eq(set_version(2), 0, "version 2 again");
    const u64 frame = status_frame();
    require_eq(update_va_mapping(std::bit_cast<u64>(window), pte(frame, pte_rw)), 0, "the status is mapped");
    window[511] = 0;
    require_eq(update_va_mapping(std::bit_cast<u64>(window), 0, UVMF_NONE), 0, "and unmapped, with no flush");
    require_eq(set_version(1), 0, "its frame goes");
    u64 number = pfn_of(other);
    require_eq(reservation(XENMEM_populate_physmap, number), 1, "a page more");
    require_eq(update_va_mapping(std::bit_cast<u64>(other), pte(number, pte_rw)), 0, "is mapped");
    other->word[511] = 0x5ec2e7;
    u64 seen = 0;
    const Trap trap = catch_trap([&] { seen = window[511]; });
    if (number != frame) Line() << "the frame is another one: this shows nothing";
    expect(trap.is(vector_pf), "the old translation is gone");
    expect_eq(seen, 0, "and the new page is not seen by it");
}

} // namespace

GUEST("grants-v2") {
    const long result = set_version(2);
    if (result != 0) {
        require_eq(result, -XEN_ENOSYS, "version 2 works or is -ENOSYS");
        check_refused();
        return;
    }
    expect_eq(get_version(), 2, "version 2 is in use");
    set_up();
    check_full_page();
    check_sub_page();
    expect_error(set_version(1), "not while the status frame is mapped");
    Page* status_window = reinterpret_cast<Page*>(statuses);
    require_eq(make_writable(status_window), 0, "the status frame is unmapped");
    table[20].hdr.flags = 0;
    table[21].hdr.flags = 0;
    expect_eq(set_version(1), 0, "back to version 1");
    expect_eq(get_version(), 1, "it is in use");
    check_stale_translation();
}
