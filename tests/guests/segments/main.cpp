// SPDX-License-Identifier: GPL-2.0-only
//
// The story: descriptor tables are as dangerous as page tables: a call gate or a descriptor of ring 0 in the
// GDT is the machine. Tables are loaded, their pages have to be protected, every dangerous descriptor has to
// be refused, and the flat segments of the hypervisor must stay where the ABI puts them.
//
// again: xpti=yes

#include "tests/guests/lib/user.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 data_descriptor = 0x00cff3000000ffff;   // data, DPL 3
constexpr u64 based_descriptor = 0x01cff3800000ffff;  // the same with base 0x01800000
constexpr u64 code_descriptor = 0x00affb000000ffff;   // 64-bit code, DPL 3
constexpr u64 kernel_descriptor = 0x00cf93000000ffff; // data, DPL 0: allowed, its level is raised
constexpr u64 call_gate = 0x0000ec00e0080000;         // call gate, DPL 3, into the hypervisor's own segment
constexpr u64 task_state = 0x0000e90000000067;        // available TSS, DPL 3
constexpr u64 local_table = 0x0000e20000000fff;       // LDT

long set_gdt(const xen_pfn_t* frames, unsigned entries) { return hypercall(__HYPERVISOR_set_gdt, frames, entries); }

long update_descriptor(const u64* slot, u64 value) {
    return hypercall(__HYPERVISOR_update_descriptor, machine_address(slot), value);
}

bool loads(u16 selector) {
    return !catch_trap([selector] { asm volatile("movw %w0, %%es" : : "r"(selector)); }).taken;
}

void check_gdt() {
    Page* table = alloc_page();
    table->word[1] = data_descriptor;
    table->word[2] = code_descriptor;
    table->word[3] = kernel_descriptor;
    xen_pfn_t frame = mfn_of(table);
    expect_error(set_gdt(&frame, 512), "a GDT page that is mapped writable");
    require_eq(make_readonly(table), 0, "the page is made read-only");
    expect_eq(set_gdt(&frame, 512), 0, "a GDT");
    expect_error(make_writable(table), "its page is protected");
    expect(loads(1 << 3 | 3), "a data segment can be loaded");
    expect(loads(3 << 3 | 3), "one of level 0 was raised to the guest's level");
    expect(!loads(4 << 3 | 3), "an empty one cannot");
    expect(loads(FLAT_RING3_DS64 & 0xffff) || FLAT_RING3_DS64 == 0, "the flat data segment is there");
    expect(loads(FLAT_RING3_SS64), "and the flat stack segment");

    expect_eq(update_descriptor(&table->word[5], based_descriptor), 0, "update_descriptor");
    expect(loads(5 << 3 | 3), "takes effect");
    for (u64 bad : {call_gate, task_state, local_table, static_cast<u64>(0x0000ee0000080000)})
        expect_error(update_descriptor(&table->word[6], bad), "a system descriptor is refused");
    expect_eq(table->word[6], 0, "without a trace");
    expect_error(hypercall(__HYPERVISOR_update_descriptor, (mfn_of(table) << 12) + 3, data_descriptor),
                 "an address that is not aligned");
    expect_error(hypercall(__HYPERVISOR_update_descriptor, root_mfn() << 12, data_descriptor), "a page table");
    expect_error(hypercall(__HYPERVISOR_update_descriptor, 1ull << 50, data_descriptor), "an address of nothing");
    asm volatile("movw %w0, %%es" : : "r"(0));
    expect_eq(set_gdt(nullptr, 0), 0, "no GDT at all");
    expect_eq(make_writable(table), 0, "frees the page");

    table->word[7] = call_gate;
    require_eq(make_readonly(table), 0, "a page with a call gate");
    expect_error(set_gdt(&frame, 512), "is no GDT");
    expect_eq(make_writable(table), 0, "and stays free");
    table->word[7] = 0;
    require_eq(make_readonly(table), 0, "without it");
    expect_eq(set_gdt(&frame, 512), 0, "it is one");
    expect_error(set_gdt(&frame, FIRST_RESERVED_GDT_ENTRY + 1), "a GDT over the reserved entries");
    xen_pfn_t tables = root_mfn();
    expect_error(set_gdt(&tables, 512), "a page table as GDT");
    expect(loads(1 << 3 | 3), "the old one stays loaded");
    asm volatile("movw %w0, %%es" : : "r"(0));
}

void check_ldt() {
    Page* table = alloc_page();
    table->word[0] = data_descriptor;
    table->word[9] = data_descriptor;
    require_eq(make_readonly(table), 0, "a page for an LDT");
    const u64 address = std::bit_cast<u64>(table);
    expect_error(mmuext(MMUEXT_SET_LDT, address + 8, 16), "an LDT that is not page-aligned");
    expect_error(mmuext(MMUEXT_SET_LDT, address, 8193), "an LDT that is too long");
    expect_error(mmuext(MMUEXT_SET_LDT, HYPERVISOR_VIRT_START, 16), "an LDT in the hypervisor");
    expect_eq(mmuext(MMUEXT_SET_LDT, address, 16), 0, "an LDT");
    expect(loads(9 << 3 | 7), "its segments can be loaded");
    expect(!loads(3 << 3 | 7), "but not the empty ones");
    expect(!loads(16 << 3 | 7), "nor those beyond its end");
    expect_error(make_writable(table), "its page is protected");
    asm volatile("movw %w0, %%es" : : "r"(0));
    expect_eq(mmuext(MMUEXT_SET_LDT, 0, 0), 0, "no LDT");
    expect(!loads(9 << 3 | 7), "takes the segments away");
    expect_eq(make_writable(table), 0, "and frees the page");
}

long set_segment_base(unsigned which, u64 base) { return hypercall(__HYPERVISOR_set_segment_base, which, base); }

u64 read_gs() {
    u64 value;
    asm volatile("movq %%gs:0, %0" : "=r"(value));
    return value;
}

USER_CODE void user_read_gs() { asm volatile("movq %%gs:0, %%rax; int3" ::: "rax"); }

void check_bases() {
    static u64 kernel_word = 0x11, fs_word = 0x22;
    expect_eq(set_segment_base(SEGBASE_FS, std::bit_cast<u64>(&fs_word)), 0, "SEGBASE_FS");
    u64 seen;
    asm volatile("movq %%fs:0, %0" : "=r"(seen));
    expect_eq(seen, 0x22, "is the base of fs");
    expect_eq(set_segment_base(SEGBASE_GS_KERNEL, std::bit_cast<u64>(&kernel_word)), 0, "SEGBASE_GS_KERNEL");
    expect_eq(read_gs(), 0x11, "is the kernel's gs");
    expect_eq(set_segment_base(SEGBASE_GS_USER, user_data), 0, "SEGBASE_GS_USER");
    expect_eq(read_gs(), 0x11, "is not");
    user_data_page()->word[0] = 0x33;
    const Trap trap = run_user(user_read_gs);
    expect(trap.is(vector_bp) && trap.frame.rax == 0x33, "but the user's gs");
    expect_eq(read_gs(), 0x11, "and the kernel's is back after it");
    expect_eq(set_segment_base(SEGBASE_GS_USER_SEL, 0), 0, "SEGBASE_GS_USER_SEL 0");
    expect_eq(read_gs(), 0x11, "leaves the kernel's gs alone");
    for (unsigned which : {SEGBASE_FS, SEGBASE_GS_USER, SEGBASE_GS_KERNEL})
        expect_error(set_segment_base(which, 0x8000000000000000), "a non-canonical base");
    expect_error(set_segment_base(7, 0), "an unknown segment");
    expect_eq(read_gs(), 0x11, "nothing refused took effect");
}

} // namespace

GUEST("segments") {
    init_user();
    check_gdt();
    check_ldt();
    check_bases();
}
