// SPDX-License-Identifier: GPL-2.0-only
//
// The story: the builder of dom0 hands over a machine state that the header of start_info describes word by
// word. A wrong register, an unmapped page, a page table left writable or a frame missing in one of the two
// translation tables shows only much later as a strange crash. All of it is looked at here, page by page.

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 kib = 1024;

// Not zero in the file and zero in the file: both parts of the data segment have to be right.
constinit volatile u64 initialised[4] = {1, 2, 3, 0x123456789abcdef0};
constinit volatile u64 zeroed[2048] = {};

void check_registers() {
    const EntryRegisters& r = entry_registers;
    expect_eq(r.rsi, std::bit_cast<u64>(&boot_info()), "rsi holds the start_info address");
    expect(r.rsp % 8 == 0 && r.rsp > boot_info().pt_base, "rsp is the end of the boot stack");
    expect_eq(r.cs, FLAT_KERNEL_CS, "cs");
    expect_eq(r.ss, FLAT_KERNEL_SS, "ss");
    expect((r.ds == 0 || r.ds == FLAT_KERNEL_DS) && (r.es == 0 || r.es == FLAT_KERNEL_DS), "ds and es");
    expect((r.rflags & 0x400) == 0, "the direction flag is clear");
    expect((r.rflags & flag_if) != 0, "interrupts are on for the processor");
    expect((r.rflags & (flag_tf | 0x4000)) == 0, "no trap flag, no nested task");
    expect_eq(this_vcpu().evtchn_upcall_mask, 1, "event upcalls are masked");
    expect_eq(this_vcpu().evtchn_upcall_pending, 0, "no event is pending");
}

void check_fields() {
    const start_info_t& info = boot_info();
    const std::string_view magic(info.magic);
    expect(magic.starts_with("xen-3.0-x86_64"), "the magic names the ABI");
    expect_eq(info.flags & (SIF_PRIVILEGED | SIF_INITDOMAIN), SIF_PRIVILEGED | SIF_INITDOMAIN, "dom0 flags");
    expect_eq(info.shared_info % page_size, 0, "shared_info is the address of a page");
    expect_eq(info.pt_base % page_size, 0, "pt_base is page-aligned");
    expect_eq(info.mfn_list % page_size, 0, "mfn_list is page-aligned");
    expect_eq(info.mod_len, 0, "no module was given");
    const std::string_view command_line(reinterpret_cast<const char*>(info.cmd_line));
    expect(command_line.starts_with("start-info"), "the command line is the module's");

    domid_t self = DOMID_SELF;
    expect_eq(memory_op(XENMEM_current_reservation, &self), info.nr_pages, "nr_pages is the reservation");
    expect(static_cast<u64>(memory_op(XENMEM_maximum_reservation, &self)) >= info.nr_pages, "and below the limit");
}

void check_image() {
    expect(initialised[0] == 1 && initialised[3] == 0x123456789abcdef0, "initialised data");
    u64 sum = 0;
    for (const volatile u64& word : zeroed) sum |= word;
    expect_eq(sum, 0, "data beyond the file's end is zero");
}

void check_translation() {
    u64 wrong = 0;
    for (u64 pfn = 0; pfn < boot_info().nr_pages; ++pfn)
        if (m2p(p2m(pfn)) != pfn) ++wrong;
    expect_eq(wrong, 0, "p2m and M2P agree on every page");
    auto* table = reinterpret_cast<volatile u64*>(HYPERVISOR_VIRT_START);
    expect(catch_trap([table] { table[0] = 0; }).is(vector_pf), "the M2P cannot be written");
}

bool is_page_table(u64 address) {
    return address >= boot_info().pt_base && address < boot_info().pt_base + boot_info().nr_pt_frames * page_size;
}

void check_mapping() {
    const u64 stack_end = entry_registers.rsp;
    u64 address = virtual_base;
    u64 wrong_frames = 0, writable_tables = 0, readonly_pages = 0;
    for (;; address += page_size) {
        if (entry_of(address, 3) == nullptr || entry_of(address, 2) == nullptr || entry_of(address, 1) == nullptr)
            break;
        const u64 entry = *entry_of(address);
        if ((entry & pte_present) == 0) break;
        if (address == std::bit_cast<u64>(&shared_page())) continue; // remapped by the runtime
        const bool writable = (entry & pte_write) != 0;
        wrong_frames += (entry & pte_frame_mask) >> 12 != p2m((address - virtual_base) >> 12);
        writable_tables += is_page_table(address) && writable;
        readonly_pages += !is_page_table(address) && !writable && address >= std::bit_cast<u64>(&image_end[0]);
    }
    expect_eq(wrong_frames, 0, "the boot mapping follows the p2m");
    expect_eq(writable_tables, 0, "page tables are mapped read-only");
    expect_eq(readonly_pages, 0, "all other pages beyond the image are writable");
    expect(address >= stack_end + 512 * kib, "at least 512 KiB are mapped beyond the boot stack");
    expect_eq(address % (4096 * kib), 0, "the mapping ends on a 4 MiB boundary");
}

void check_order() {
    const start_info_t& info = boot_info();
    const u64 start = std::bit_cast<u64>(&info);
    expect(info.mfn_list >= std::bit_cast<u64>(&image_end[0]), "the p2m list follows the kernel");
    expect(start >= info.mfn_list + info.nr_pages * 8 && start % page_size == 0, "start_info follows the list");
    expect(info.pt_base >= start + page_size, "the page tables follow start_info");
    expect(entry_registers.rsp > info.pt_base + info.nr_pt_frames * page_size, "the boot stack is last");
    expect(mmuext(MMUEXT_PIN_L4_TABLE, root_mfn()) != 0, "the first page table is pinned already");
    expect_eq(mmuext(MMUEXT_NEW_BASEPTR, root_mfn()), 0, "and can be loaded again");
}

void check_shared_page() {
    const vcpu_time_info_t& time = this_vcpu().time;
    expect_eq(time.version & 1, 0, "the time record is complete");
    expect(time.tsc_to_system_mul != 0, "the time record has a scale");
    const u64 before = system_time();
    const u64 after = system_time();
    expect(before != 0 && after >= before, "system time runs forward");
    expect(shared_page().wc_sec != 0 && (shared_page().wc_version & 1) == 0, "the wall clock is set");
}

} // namespace

GUEST("start-info") {
    check_registers();
    check_fields();
    check_image();
    check_translation();
    check_mapping();
    check_order();
    check_shared_page();
}
