// SPDX-License-Identifier: GPL-2.0-only
//
// The story: memory that a guest gives back may be anybody's the next moment. A frame that is still mapped,
// typed or granted must not be freed, frames got anew must be zero or ours, and exchange has to be all or
// nothing for each extent. The reservation is counted after every step.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

// The firmware's format, which XENMEM_machine_memory_map uses.
struct [[gnu::packed]] E820Entry {
    u64 address, size;
    u32 type;
};
static_assert(sizeof(E820Entry) == 20);
constexpr u32 e820_ram = 1;

long reservation(int command, xen_pfn_t* extents, u64 count, unsigned order = 0, unsigned address_bits = 0) {
    xen_memory_reservation_t op = {};
    set_xen_guest_handle(op.extent_start, extents);
    op.nr_extents = count;
    op.extent_order = order;
    op.mem_flags = XENMEMF_address_bits(address_bits);
    op.domid = DOMID_SELF;
    return memory_op(command, &op);
}

long current() {
    domid_t self = DOMID_SELF;
    return memory_op(XENMEM_current_reservation, &self);
}

void check_queries() {
    domid_t self = DOMID_SELF, nobody = 999;
    expect_eq(current(), boot_info().nr_pages, "the reservation is what start_info says");
    expect(memory_op(XENMEM_maximum_reservation, &self) >= current(), "the limit");
    expect_error(memory_op(XENMEM_current_reservation, &nobody), "of a domain that is not there");
    expect(memory_op(XENMEM_maximum_ram_page, nullptr) > current(), "the last frame of the machine");

    xen_machphys_mapping_t mapping = {};
    expect_eq(memory_op(XENMEM_machphys_mapping, &mapping), 0, "XENMEM_machphys_mapping");
    expect_eq(mapping.v_start, MACH2PHYS_VIRT_START, "the M2P is where the ABI says");
    expect(mapping.max_mfn > boot_info().nr_pages, "and covers the machine");

    static E820Entry map[64];
    xen_memory_map_t request = {};
    request.nr_entries = 64;
    set_xen_guest_handle(request.buffer, map);
    expect_eq(memory_op(XENMEM_machine_memory_map, &request), 0, "dom0 sees the machine's memory map");
    expect(request.nr_entries >= 3, "of some entries");
    u64 ram = 0;
    for (unsigned i = 0; i < request.nr_entries; ++i) ram += map[i].type == e820_ram ? map[i].size : 0;
    expect(ram / page_size > boot_info().nr_pages, "with more RAM than dom0 has");
    expect_eq(memory_op(60, &request), -XEN_ENOSYS, "an unknown operation");

    shared_page().arch.max_pfn = boot_info().nr_pages;
    expect_eq(memory_op(XENMEM_maximum_gpfn, &self), boot_info().nr_pages - 1, "the last number that the guest uses");
    expect_eq(memory_op(XENMEM_get_sharing_freed_pages, nullptr), 0, "no frames are shared");
    expect_eq(memory_op(XENMEM_get_sharing_shared_pages, nullptr), 0, "so none is saved");
}

void check_on_demand() {
    xen_pod_target_t target = {};
    target.target_pages = 1000;
    for (const int command : {XENMEM_set_pod_target, XENMEM_get_pod_target}) {
        target.domid = DOMID_SELF;
        expect_eq(memory_op(command, &target), -XEN_EINVAL, "a PV guest has nothing on demand");
        target.domid = 999;
        expect_eq(memory_op(command, &target), -XEN_ESRCH, "nor has nobody");
    }
}

void check_own_map() {
    E820Entry map[2] = {{0, 0x100000, e820_ram}, {0x100000, 0x1000, 2}};
    xen_foreign_memory_map_t set = {};
    set.domid = DOMID_SELF;
    set.map.nr_entries = 2;
    set_xen_guest_handle(set.map.buffer, map);
    xen_memory_map_t request = {};
    set_xen_guest_handle(request.buffer, map);
    request.nr_entries = 2;
    expect_eq(memory_op(XENMEM_memory_map, &request), -XEN_ENOSYS, "nobody has given dom0 a map");
    expect_eq(memory_op(XENMEM_set_memory_map, &set), 0, "XENMEM_set_memory_map");
    memset(map, 0, sizeof map);
    request.nr_entries = 1;
    expect_eq(memory_op(XENMEM_memory_map, &request), 0, "XENMEM_memory_map");
    expect(request.nr_entries == 1 && map[0].size == 0x100000 && map[1].size == 0,
           "gives no more than there is room for");
    request.nr_entries = 2;
    expect_eq(memory_op(XENMEM_memory_map, &request), 0, "with more room");
    expect(request.nr_entries == 2 && map[1].address == 0x100000 && map[1].type == 2, "all of it");
}

void check_balloon() {
    Page* pages = alloc_pages(8);
    xen_pfn_t frames[8];
    for (unsigned i = 0; i < 8; ++i) frames[i] = mfn_of(&pages[i]);
    const long before = current();
    const u64 first = frames[0];
    expect_eq(reservation(XENMEM_decrease_reservation, frames, 1), 1, "a frame that is still mapped");
    // It leaves the domain for good only with its last mapping.
    require_eq(update_va_mapping(std::bit_cast<u64>(&pages[0]), 0), 0, "is unmapped later");
    expect_eq(current(), before - 1, "and gone");
    expect_error(set_entry(entry_of(std::bit_cast<u64>(&pages[0])), pte(first, pte_rw)), "it cannot be mapped again");

    for (unsigned i = 1; i < 8; ++i)
        require_eq(update_va_mapping(std::bit_cast<u64>(&pages[i]), 0), 0, "more pages are unmapped");
    expect_eq(reservation(XENMEM_decrease_reservation, frames + 1, 7), 7, "seven frames are given back");
    expect_eq(current(), before - 8, "and counted");
    expect_eq(reservation(XENMEM_decrease_reservation, frames + 1, 7), 0, "they cannot be given back twice");
    for (unsigned i = 0; i < 8; ++i) frames[i] = pfn_of(&pages[i]);
    expect_eq(reservation(XENMEM_populate_physmap, frames, 8), 8, "eight frames are got");
    expect_eq(current(), before, "and counted");
    for (unsigned i = 0; i < 8; ++i) {
        p2m(pfn_of(&pages[i])) = frames[i];
        expect_eq(m2p(frames[i]), pfn_of(&pages[i]), "the M2P knows them");
        expect_eq(make_writable(&pages[i]), 0, "and they can be mapped");
        pages[i].word[0] = i;
    }
    xen_pfn_t table = root_mfn();
    const long freed = reservation(XENMEM_decrease_reservation, &table, 1);
    expect(freed == 0 || (freed == 1 && m2p(root_mfn()) != 0), "the live page table survives being given back");
    // Nothing but the hypervisor's own reference holds a grant frame.
    xen_pfn_t shared = 0;
    gnttab_setup_table_t setup = {};
    setup.dom = DOMID_SELF;
    setup.nr_frames = 1;
    set_xen_guest_handle(setup.frame_list, &shared);
    require_eq(grant_table_op(GNTTABOP_setup_table, &setup, 1), 0, "a grant frame");
    reservation(XENMEM_decrease_reservation, &shared, 1);
    reservation(XENMEM_decrease_reservation, &shared, 1);
    expect_eq(xen_version(XENVER_pagesize), 4096, "the guest lives on");
}

void check_increase() {
    Page* page = alloc_page();
    constexpr u64 ours = 0x5ec2e7;
    page->word[0] = ours;
    const long before = current();
    xen_pfn_t frame = mfn_of(page);
    require_eq(update_va_mapping(std::bit_cast<u64>(page), 0), 0, "a page is unmapped");
    require_eq(reservation(XENMEM_decrease_reservation, &frame, 1), 1, "and given back");
    frame = 0;
    expect_eq(reservation(XENMEM_increase_reservation, &frame, 1), 1, "XENMEM_increase_reservation");
    expect_eq(current(), before, "is counted");
    expect_eq(update_va_mapping(std::bit_cast<u64>(page), pte(frame, pte_rw)), 0, "the frame that it tells is mapped");
    expect(page->word[0] == 0 || page->word[0] == ours, "and empty, or the same");
}

void check_limits() {
    domid_t self = DOMID_SELF;
    const long room = memory_op(XENMEM_maximum_reservation, &self) - current();
    xen_pfn_t frame = pfn_of(alloc_page());
    if (room == 0) expect_eq(reservation(XENMEM_populate_physmap, &frame, 1), 0, "not a page over the limit");
    expect(reservation(XENMEM_populate_physmap, &frame, 1, 40) <= 0, "an extent of order 40");
    expect(reservation(XENMEM_decrease_reservation, &frame, 1ull << 60) <= 0, "2^60 extents");
    expect_error(reservation(XENMEM_populate_physmap, nullptr, 1) - 1, "extents at address 0");
    xen_pfn_t beyond = 1ull << 40;
    expect_eq(reservation(XENMEM_decrease_reservation, &beyond, 1), 0, "a frame beyond the machine");
}

long exchange(xen_pfn_t* in, u64 in_count, unsigned in_order, xen_pfn_t* out, u64 out_count, unsigned out_order,
              unsigned bits, u64& exchanged) {
    xen_memory_exchange_t op = {};
    set_xen_guest_handle(op.in.extent_start, in);
    op.in.nr_extents = in_count;
    op.in.extent_order = in_order;
    op.in.domid = DOMID_SELF;
    set_xen_guest_handle(op.out.extent_start, out);
    op.out.nr_extents = out_count;
    op.out.extent_order = out_order;
    op.out.mem_flags = XENMEMF_address_bits(bits);
    op.out.domid = DOMID_SELF;
    const long result = memory_op(XENMEM_exchange, &op);
    exchanged = op.nr_exchanged;
    return result;
}

void check_exchange() {
    Page* pages = alloc_pages(16);
    static xen_pfn_t in[16], out[1];
    for (unsigned i = 0; i < 16; ++i) {
        in[i] = mfn_of(&pages[i]);
        require_eq(update_va_mapping(std::bit_cast<u64>(&pages[i]), 0), 0, "pages are unmapped");
    }
    out[0] = pfn_of(pages);
    const long before = current();
    u64 exchanged = 0;
    expect_eq(exchange(in, 16, 0, out, 1, 4, 32, exchanged), 0, "16 frames for 16 contiguous ones");
    expect_eq(exchanged, 16, "all of them");
    expect_eq(current(), before, "the reservation stays");
    expect_eq(out[0] % 16, 0, "the extent is aligned to its size");
    expect(out[0] + 16 <= 1ull << 20, "and below 4 GiB");
    for (unsigned i = 0; i < 16; ++i) {
        p2m(pfn_of(&pages[i])) = out[0] + i;
        expect_eq(m2p(out[0] + i), pfn_of(&pages[i]), "the M2P knows it");
        expect_eq(make_writable(&pages[i]), 0, "and it can be mapped");
    }
    in[0] = out[0];
    expect_error(exchange(in, 16, 0, out, 2, 4, 32, exchanged), "16 frames for 32");
    expect_eq(exchanged, 0, "none of them");
    in[0] = 1ull << 40;
    out[0] = pfn_of(pages);
    expect_error(exchange(in, 1, 0, out, 1, 0, 32, exchanged), "a frame beyond the machine");
    expect_error(exchange(in, 1, 0, out, 1, 0, 1, exchanged), "an address width of one bit");
    expect_eq(current(), before, "the reservation stays");
}

} // namespace

GUEST("memory-op") {
    check_queries();
    check_own_map();
    check_on_demand();
    check_balloon();
    check_increase();
    check_limits();
    check_exchange();
}
