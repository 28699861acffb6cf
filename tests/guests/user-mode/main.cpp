// SPDX-License-Identifier: GPL-2.0-only
//
// The story: kernel and user of a 64-bit PV guest both run in ring 3; only the choice of page table and the
// hypervisor's own note tell them apart. A hypervisor that mixes the two up lets user code make hypercalls or
// read the kernel. The guest enters user mode by iret and comes back by every kind of trap.
//
// again: xpti=yes

#include "tests/guests/lib/user.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

USER_CODE void do_breakpoint() { asm volatile("int3"); }

USER_CODE void do_syscall() {
    asm volatile("movl $0x1234, %%eax; movq $0x5678, %%rdi; syscall; ud2" ::: "rax", "rdi", "rcx", "r11");
}

USER_CODE void do_read_kernel() {
    asm volatile("movq %0, %%rax; movq (%%rax), %%rax; ud2" : : "i"(virtual_base + 0x100000) : "rax");
}

USER_CODE void do_write_text() { asm volatile("leaq 0f(%%rip), %%rax; 0: movq %%rax, (%%rax); ud2" ::: "rax"); }

USER_CODE void do_read_nothing() { asm volatile("xorl %%eax, %%eax; movq (%%rax), %%rax; ud2" ::: "rax"); }

USER_CODE void do_privileged() { asm volatile("mov %%cr3, %%rax; ud2" ::: "rax"); }

USER_CODE void do_port() { asm volatile("inb $0x71, %%al; ud2" ::: "rax"); }

USER_CODE void do_software_interrupt() { asm volatile("int $0x80; ud2"); }

USER_CODE void do_read_m2p() { asm volatile("movabsq $0xffff800000000000, %%rax; movq (%%rax), %%rax; ud2" ::: "rax"); }

void check_traps() {
    const Trap breakpoint = run_user(do_breakpoint);
    expect(breakpoint.is(vector_bp), "INT3 comes back");
    expect(breakpoint.frame.from_user(), "the frame shows user mode");
    expect_eq(breakpoint.frame.cs & 0xffff, FLAT_USER_CS, "cs of user mode");
    expect_eq(breakpoint.frame.ss & 0xffff, FLAT_USER_SS, "ss of user mode");
    expect(breakpoint.frame.rsp > user_stack && breakpoint.frame.rsp <= user_stack + page_size, "the user's rsp");
    expect((breakpoint.frame.rflags & flag_if) != 0, "events were on");

    const Trap call = run_user(do_syscall);
    expect(call.is(entry_syscall), "SYSCALL enters the syscall callback, not the hypervisor's table");
    expect_eq(call.frame.rax, 0x1234, "rax is untouched");
    expect_eq(call.frame.rdi, 0x5678, "rdi is untouched");
    expect_eq(call.frame.rip, call.frame.rcx, "rcx is the return address");
    expect(call.frame.from_user(), "SYSCALL comes from user mode");

    expect(run_user(do_read_kernel).is(vector_pf), "the kernel's pages are not there");
    expect((last_trap().frame.error & 4) != 0, "a fault of the user has error bit 2");
    expect(run_user(do_write_text).is(vector_pf, 7), "a write to read-only text: error 7");
    expect(run_user(do_read_nothing).is(vector_pf, 4) && last_trap().cr2 == 0, "a read of address 0: error 4");
    expect(run_user(do_privileged).is(vector_gp, 0), "MOV from CR3 is not emulated for the user");
    expect(run_user(do_port).is(vector_gp, 0), "IN is not emulated for the user");
    expect(run_user(do_read_m2p).is(vector_pf), "the M2P is hidden from the user");
}

void check_software_interrupt() {
    expect_eq(install_vector(0x80, 0), 0, "a handler for 0x80, not for users");
    // The incumbent's fast path for this one vector ignores the DPL; nobody may rely on that.
    const Trap refused = run_user(do_software_interrupt);
    expect(refused.is(vector_gp, 0x402) || refused.is(0x80), "INT 0x80 with DPL 0 is #GP(0x402)");
    expect_eq(install_vector(0x80, 3), 0, "a handler for 0x80, for users");
    expect(run_user(do_software_interrupt).is(0x80), "INT 0x80 with DPL 3");
}

// Stores what arrived in the registers into the data page.
USER_CODE void store_registers() {
    asm volatile("movabsq %0, %%rdx\n"
                 "movq %%rax, (%%rdx)\n"
                 "movq %%rcx, 8(%%rdx)\n"
                 "movq %%r11, 16(%%rdx)\n"
                 "movq %%rdi, 24(%%rdx)\n"
                 "pushfq\n"
                 "popq 32(%%rdx)\n"
                 "int3"
                 :
                 : "i"(user_data)
                 : "rdx");
}

void check_entry() {
    const u64 entry = user_address(reinterpret_cast<const void*>(store_registers));
    const u64* seen = user_data_page()->word;
    UserState state = {.rip = entry, .rcx = 0xccc, .r11 = 0x111, .rax = 0xaaa, .rdi = 0xddd};
    state.rflags = flag_if | 1 | 0x80; // CF and SF
    expect(run_user(state).is(vector_bp), "iret into user mode");
    expect(seen[0] == 0xaaa && seen[1] == 0xccc && seen[2] == 0x111 && seen[3] == 0xddd, "iret loads registers");
    expect_eq(seen[4] & 0x81, 0x81, "iret loads flags");

    state.iret_flags = VGCF_in_syscall;
    expect(run_user(state).is(vector_bp), "iret with VGCF_in_syscall");
    expect(seen[0] == 0xaaa && seen[3] == 0xddd, "it loads rax");
    expect_eq(seen[4] & 0x81, 0x81, "it loads flags");
    state.iret_flags = 0;

    state.rflags = 0x3000 | 1; // IOPL 3, IF off
    expect(run_user(state).is(vector_bp), "iret with hostile flags");
    expect_eq(seen[4] & 0x3000, 0, "the user gets no I/O privilege");
    expect_eq(seen[4] & flag_if, flag_if, "interrupts stay on for the processor");

    state.rflags = flag_if;
    state.rip = 0x8000000000000000;
    const Trap far = run_user(state);
    expect(far.taken && (far.is(vector_gp) || far.is(entry_failsafe)), "iret to a non-canonical address");
    state.iret_flags = VGCF_in_syscall;
    const Trap sysret = run_user(state);
    expect(sysret.taken && (sysret.is(vector_gp) || sysret.is(entry_failsafe)), "and the same by SYSRET");
}

} // namespace

GUEST("user-mode") {
    init_user();
    check_traps();
    check_software_interrupt();
    check_entry();
}
