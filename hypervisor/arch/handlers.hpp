// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/registers.hpp"

// Everything entry.S and head.S call. Interrupts are off in all of them. Handlers of guest entries run on
// the CPU's stack, the guest's registers are in current().regs; when they return, the exit path goes back to
// whichever vCPU is current() then.
//
// Exit contract: regs.vector == vector_syscall, vector_sysret or vector_bounced says that rcx and r11 are dead,
// and lets the exit use SYSRET (flat 64-bit selectors, canonical rip, no TF or RF; IRETQ otherwise). The exit
// checks all that for vector_sysret, rip and rflags for vector_syscall (whose cs and ss nobody changes without
// storing another vector), and nothing for vector_bounced. Who wants rcx and r11 restored stores another
// vector. Rflags must have IF on and IOPL 0; cs and ss must be of RPL 3.

namespace streak {
struct Vcpu;
namespace arch {
/// Entries of a `Table` (hypercall/dispatch.hpp): entry.S calls through the one at `hypercall_table_in_use`.
inline constexpr unsigned hypercall_table_size = 64;
} // namespace arch
} // namespace streak

extern "C" {

/// First C++ function of the boot processor, on its final stack, with exceptions working. (init/main.cpp)
[[noreturn]] void streak_main(streak::u32 magic, streak::u64 multiboot_info_maddr);

/// A hypercall ended with an Errno; ERESTART makes the guest call again. Handlers leave rbx and r12 to r15 in regs as
/// they are; entry.S puts their values into rax itself. (hypercall/dispatch.cpp)
void handle_failed_hypercall(streak::u32 error);

/// SYSCALL of a guest's 64-bit user mode. Leaves rbx and r12 to r15 in regs as they are. (pv/)
void handle_user_syscall(streak::Vcpu* vcpu);

/// Any 32-bit SYSCALL (vector_syscall32) or SYSENTER (vector_sysenter: rip and rsp are unknown and zero). (pv/)
void handle_guest_syscall(streak::Vcpu* vcpu);

/// Exceptions 0-31 in guest mode but for NMI, #DF, #MC; regs.vector and regs.error_code say which. (pv/)
void handle_guest_exception(streak::Vcpu* vcpu);

/// The IRETQ that was to enter the guest faulted on its frame; regs holds the complete guest state, but
/// vector and error_code are those of the fault. (pv/)
void handle_iret_fault(streak::Vcpu* vcpu);

/// Vectors 32-255, from guest mode (regs == &current().regs), the idle loop or an interrupt window.
void handle_interrupt(streak::u32 vector, streak::arch::Registers* regs);

/// PerCpu::work or Vcpu::exit_work was seen on the way out. May schedule.
void handle_exit_work();

/// A pending, unmasked event was seen on the way out, and no such work: enters the event callback. (pv/)
void handle_event(streak::Vcpu* vcpu);

/// What an idle vCPU does; may return, then the exit path looks at current() again.
void idle_loop();

/// From guest mode on the CPU's stack, and otherwise on a stack of its own that a second NMI would
/// overwrite: no faults, no locks that others hold for long. (arch/nmi.cpp)
void handle_nmi(streak::arch::Registers* regs);
void handle_machine_check(streak::arch::Registers* regs);

/// Exceptions at CPL 0: fix-ups, or our own bugs. (arch/exceptions.cpp)
void handle_hypervisor_exception(streak::arch::Registers* regs);
/// A page fault of those on a guest's page while PerCpu::soft_tlb is set. True: try again. (domain/log_dirty.cpp)
bool handle_soft_tlb_fault(streak::u64 address, streak::u32 error_code);
void handle_hypervisor_debug(streak::arch::Registers* regs);
void handle_double_fault(streak::arch::Registers* regs);
}
