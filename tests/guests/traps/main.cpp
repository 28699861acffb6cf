// SPDX-License-Identifier: GPL-2.0-only
//
// The story: every exception of the guest's kernel goes through the hypervisor, which has to bounce it with
// the right vector, error code, cs and rip, and must not keep or change any. Each exception that ring 3 can
// provoke is provoked here and the frame compared with what the processor manual promises.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 unmapped = 0x7f0000001000;
constexpr u64 non_canonical = 0x8000000000000000;

volatile u64& at(u64 address) { return *reinterpret_cast<volatile u64*>(address); }

u64 read(u64 address) { return at(address); }

void check_faults() {
    expect(catch_trap([] {
               asm volatile("xorl %%edx, %%edx; xorl %%ecx, %%ecx; divl %%ecx" ::: "eax", "ecx", "edx");
           }).is(vector_de),
           "#DE by a division");
    const Trap undefined = catch_trap([] { asm volatile("ud2; nop; nop; nop"); });
    expect(undefined.is(vector_ud), "#UD by UD2");
    expect_eq(undefined.frame.cs & 0xffff, kernel_cs_in_frame, "a frame of the kernel shows ring 0");
    expect_eq(undefined.frame.ss & ~3ull, FLAT_KERNEL_SS & ~3ull, "and the flat stack segment");
    expect_eq(*reinterpret_cast<u16*>(undefined.frame.rip), 0x0b0f, "rip is at the instruction");
    expect(catch_trap([] { asm volatile(".byte 0x0f, 0xff, 0xc0"); }).is(vector_ud), "#UD by an undefined opcode");
    expect(catch_trap([] { read(non_canonical); }).is(vector_gp, 0), "#GP(0) by a non-canonical address");
    expect(catch_trap([] { asm volatile("hlt"); }).taken == false || last_trap().is(vector_gp, 0),
           "HLT is #GP(0) or emulated");
    expect(catch_trap([] {
               asm volatile("lidt %0" : : "m"(at(virtual_base + 0x100000)));
           }).is(vector_gp, 0),
           "#GP(0) by LIDT");
    expect(catch_trap([] {
               asm volatile("movw %w0, %%ds" : : "r"(0x1000));
           }).is(vector_gp, 0x1000),
           "#GP(selector) by a bad data segment");
}

void check_software_interrupts() {
    const Trap breakpoint = catch_trap([] { asm volatile("int3"); });
    expect(breakpoint.is(vector_bp), "#BP by INT3");
    expect_eq(reinterpret_cast<u8*>(breakpoint.frame.rip)[-1], 0xcc, "rip is behind INT3");
    expect(catch_trap([] { asm volatile("int $4"); }).is(vector_of), "#OF by INT 4");

    const Trap refused = catch_trap([] { asm volatile("int $0x80"); });
    expect(refused.is(vector_gp, 0x402), "INT 0x80 without a handler is #GP(0x402)");
    expect_eq(*reinterpret_cast<u16*>(refused.frame.rip), 0x80cd, "with rip at the instruction");
    expect_eq(install_vector(0x80, 3), 0, "a handler for 0x80");
    const Trap call = catch_trap([] { asm volatile("int $0x80"); });
    expect(call.is(0x80), "INT 0x80 with a handler");
    expect_eq(reinterpret_cast<u16*>(call.frame.rip)[-1], 0x80cd, "rip is behind INT 0x80");

    expect_eq(install_vector(0x30, 3), 0, "a handler for 0x30");
    const Trap other = catch_trap([] { asm volatile("int $0x30"); });
    if (other.is(vector_gp, 0x302))
        Line() << "note: INT 0x30 came as #GP(0x302): the emulator's error code is wrong, not judged";
    else expect(other.is(0x30), "INT 0x30 with a handler");
}

void check_page_faults() {
    Page* page = alloc_page();
    const Trap missing = catch_trap([] { read(unmapped); });
    expect(missing.is(vector_pf, 0), "a read of nothing: error 0");
    expect_eq(missing.cr2, unmapped, "the address is in vcpu_info.arch.cr2");
    expect(catch_trap([] { at(unmapped + 8) = 1; }).is(vector_pf, 2), "a write to nothing: error 2");
    expect_eq(last_trap().cr2, unmapped + 8, "with its address");
    expect(catch_trap([] { reinterpret_cast<void (*)()>(unmapped)(); }).is(vector_pf), "a jump to nothing");
    expect_eq(last_trap().frame.rip, unmapped, "with rip at the target");
    expect((last_trap().frame.error & ~0x10ull) == 0, "and no error bit but instruction fetch");

    require_eq(make_readonly(page), 0, "a page is made read-only");
    expect(catch_trap([page] { *static_cast<volatile u64*>(page->word) = 1; }).is(vector_pf, 3),
           "a write to a read-only page: error 3");
    require_eq(remap(page, pte_rw | pte_nx), 0, "a page is made no-execute");
    page->word[0] = 0xc3;
    expect(catch_trap([page] { reinterpret_cast<void (*)()>(page)(); }).is(vector_pf, 0x11),
           "a jump to a no-execute page: error 0x11");
    const Trap hypervisor = catch_trap([] { read(HYPERVISOR_VIRT_START + (4ull << 39)); });
    expect(hypervisor.is(vector_pf) || hypervisor.is(vector_gp), "the hypervisor's addresses cannot be read");
}

bool skip_breakpoint(Frame&) { return true; }

void check_return() {
    set_trap_hook(vector_bp, skip_breakpoint);
    u64 registers[4] = {0x1111111122222222, 0x3333333344444444, 0x5555555566666666, 0x7777777788888888};
    bool carry = false;
    asm volatile("stc; int3; setc %4"
                 : "+a"(registers[0]), "+c"(registers[1]), "+S"(registers[2]), "+D"(registers[3]), "=r"(carry));
    expect(registers[0] == 0x1111111122222222 && registers[1] == 0x3333333344444444 &&
               registers[2] == 0x5555555566666666 && registers[3] == 0x7777777788888888,
           "registers live through a trap");
    expect(carry, "flags live through a trap");
    set_trap_hook(vector_bp, nullptr);
}

constinit u8 mask_in_handler = 0xff;

bool note_mask(Frame& frame) {
    mask_in_handler = this_vcpu().evtchn_upcall_mask;
    frame.rip += 2;
    return true;
}

void check_event_mask() {
    set_trap_hook(vector_ud, note_mask);
    this_vcpu().evtchn_upcall_mask = 0;
    asm volatile("ud2; nop; nop; nop");
    expect_eq(mask_in_handler, 0, "an exception leaves the upcall mask alone");
    expect_eq(install_vector(vector_ud, 0, true), 0, "a vector that masks events");
    asm volatile("ud2; nop; nop; nop");
    expect_eq(mask_in_handler, 1, "a masking vector masks");
    expect_eq(this_vcpu().evtchn_upcall_mask, 0, "and iret restores the mask");
    this_vcpu().evtchn_upcall_mask = 1;
    set_trap_hook(vector_ud, nullptr);
}

} // namespace

GUEST("traps") {
    check_faults();
    check_software_interrupts();
    check_page_faults();
    check_return();
    check_event_mask();
}
