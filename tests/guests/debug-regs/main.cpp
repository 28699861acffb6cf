// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a guest's debugger uses the real debug registers. A breakpoint inside the hypervisor would stop
// it with its own secrets on the stack; a DR7 with reserved bits faults in the hypervisor; a #DB with a wrong
// DR6 confuses the guest. Good ones have to fire, bad ones to be refused.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 dr6_b0 = 1, dr6_b1 = 2, dr6_bs = 1 << 14;

long set_debugreg(unsigned index, u64 value) { return hypercall(__HYPERVISOR_set_debugreg, index, value); }

u64 get_debugreg(unsigned index) { return static_cast<u64>(hypercall(__HYPERVISOR_get_debugreg, index)); }

__attribute__((noinline)) void breakpoint_target() { asm volatile("nop"); }

void check_values() {
    for (unsigned index = 0; index < 4; ++index) {
        expect_eq(set_debugreg(index, 0x1000 * (index + 1)), 0, "an address register is set");
        expect_eq(get_debugreg(index), 0x1000 * (index + 1), "and read back");
        expect_error(set_debugreg(index, HYPERVISOR_VIRT_START + 0x1000), "an address of the hypervisor");
        expect_error(set_debugreg(index, 0xffff82d040200000), "an address of the hypervisor's code");
        expect_eq(get_debugreg(index), 0x1000 * (index + 1), "changes nothing");
    }
    expect_error(set_debugreg(8, 0), "a register that is not there");
    expect_error(set_debugreg(0xffffffff, 0), "nor that one");
    expect_error(static_cast<long>(get_debugreg(8)), "which cannot be read either");
    // General detect would let the guest trap the hypervisor's own accesses.
    const long detect = set_debugreg(7, 1 << 13);
    expect(detect < 0 || (get_debugreg(7) & 1 << 13) == 0, "general detect is refused or ignored");
    expect(set_debugreg(7, 0x100000000) < 0 || get_debugreg(7) >> 32 == 0, "the upper half of DR7 too");
    expect_eq(set_debugreg(7, 0), 0, "DR7 is cleared");
    for (unsigned index = 0; index < 4; ++index) expect_eq(set_debugreg(index, 0), 0, "addresses are cleared");
}

void check_execution() {
    const u64 target = std::bit_cast<u64>(&breakpoint_target);
    expect_eq(set_debugreg(0, target), 0, "a breakpoint address");
    expect_eq(set_debugreg(6, 0), 0, "DR6 is cleared");
    expect_eq(set_debugreg(7, 1), 0, "and switched on");
    const Trap trap = catch_trap([] { breakpoint_target(); });
    expect_eq(set_debugreg(7, 0), 0, "and off");
    expect(trap.is(vector_db), "the breakpoint fires");
    expect_eq(trap.frame.rip, target, "at its instruction");
    expect_eq(get_debugreg(6) & 0xf, dr6_b0, "DR6 names it");
    expect(!catch_trap([] { breakpoint_target(); }).taken, "switched off it does not fire");
}

void check_data() {
    static volatile u64 watched;
    expect_eq(set_debugreg(1, std::bit_cast<u64>(&watched)), 0, "a watched address");
    expect_eq(set_debugreg(6, 0), 0, "DR6 is cleared");
    expect_eq(set_debugreg(7, 1 << 2 | 0x9 << 20), 0, "writes of 8 bytes are watched");
    const Trap trap = catch_trap([] { watched = 5; });
    expect_eq(set_debugreg(7, 0), 0, "and no longer");
    expect(trap.is(vector_db), "a write fires");
    expect_eq(watched, 5, "after it was done");
    expect_eq(get_debugreg(6) & 0xf, dr6_b1, "DR6 names it");
}

void check_single_step() {
    expect_eq(set_debugreg(6, 0), 0, "DR6 is cleared");
    const Trap trap = catch_trap([] { asm volatile("pushfq; orq $0x100, (%rsp); popfq; nop; nop"); });
    expect(trap.is(vector_db), "the trap flag steps");
    expect((get_debugreg(6) & dr6_bs) != 0, "DR6 says single step");
    expect_eq(*reinterpret_cast<const u8*>(trap.frame.rip - 1), 0x90, "rip is behind one instruction");
}

void check_moves() {
    u64 value = 0x5000;
    expect(!catch_trap([&value] { asm volatile("movq %0, %%db3" : : "r"(value)); }).taken, "MOV to DR3 is emulated");
    expect_eq(get_debugreg(3), 0x5000, "and arrives");
    value = 0;
    expect(!catch_trap([&value] { asm volatile("movq %%db3, %0" : "=r"(value)); }).taken, "MOV from DR3 too");
    expect_eq(value, 0x5000, "with its value");
    expect(catch_trap([] {
               asm volatile("movq %0, %%db0" : : "r"(HYPERVISOR_VIRT_START + 0x1000));
           }).is(vector_gp) ||
               get_debugreg(0) < HYPERVISOR_VIRT_START,
           "MOV to DR0 of a hypervisor address is refused");
    set_debugreg(3, 0);
}

} // namespace

GUEST("debug-regs") {
    check_values();
    check_execution();
    check_data();
    check_single_step();
    check_moves();
}
