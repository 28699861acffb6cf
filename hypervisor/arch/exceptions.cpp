// SPDX-License-Identifier: GPL-2.0-only

// Exceptions at CPL 0: guest accesses and instructions with a fix-up, or our own bugs.

#include "arch/cr.hpp"
#include "arch/dump.hpp"
#include "arch/extable.hpp"
#include "arch/handlers.hpp"
#include "arch/percpu.hpp"

namespace streak::arch {

namespace {

struct Entry {
    i32 from, to;
};

extern "C" const Entry __extable_start[], __extable_end[];

[[nodiscard]] u64 address(const i32& relative) {
    return reinterpret_cast<u64>(&relative) + static_cast<u64>(static_cast<i64>(relative));
}

/// A guest may have widened a page-table entry without a flush; the fault has removed the stale TLB entry,
/// so a protection fault is worth a second try. Once only: if the same access faults again it is real.
[[nodiscard]] bool worth_a_retry(const Registers& regs) {
    constexpr u32 protection = 1;
    PerCpu& cpu = this_cpu();
    const u64 fault_address = read_cr2();
    if (cpu.soft_tlb && static_cast<Trap>(regs.vector) == Trap::page_fault)
        return handle_soft_tlb_fault(fault_address, regs.error_code);
    if (static_cast<Trap>(regs.vector) != Trap::page_fault || !(regs.error_code & protection) ||
        (cpu.retried_rip == regs.rip && cpu.retried_address == fault_address)) {
        cpu.retried_rip = 0;
        return false;
    }
    cpu.retried_rip = regs.rip;
    cpu.retried_address = fault_address;
    return true;
}

u64 find_fixup(u64 rip) {
    for (const Entry* entry = __extable_start; entry != __extable_end; ++entry)
        if (address(entry->from) == rip) return address(entry->to);
    return 0;
}

} // namespace

} // namespace streak::arch

using namespace streak;
using arch::Registers;

void handle_hypervisor_exception(Registers* regs) {
    if (const u64 fixup = arch::find_fixup(regs->rip)) {
        if (!arch::worth_a_retry(*regs)) regs->rip = fixup;
        return;
    }
    arch::panic_with_registers(*regs);
}

/// Reached by MOV SS tricks at the system-call entries, by SYSENTER with TF, and by guest data breakpoints on
/// memory that Streak copies: none of them matters.
void handle_hypervisor_debug(Registers* regs) {
    regs->rflags &= ~arch::rflags::tf;
    arch::write_dr6(0xffff0ff0);
}

void handle_double_fault(Registers* regs) { arch::panic_with_registers(*regs); }
