// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/registers.hpp"
#include "lib/types.hpp"

// Everything entry.S and head.S call. Interrupts are off in all of them. Handlers of guest entries run on
// the CPU's stack, the guest's registers are in current().regs; when they return, the exit path goes back to
// whichever vCPU is current() then.
//
// Exit contract: regs.vector == vector_syscall says that rcx and r11 are dead, and lets the exit use
// SYSRET (flat 64-bit selectors, canonical rip, no TF or RF; IRETQ otherwise). Who wants rcx and r11 restored
// stores another vector. Rflags must have IF on and IOPL 0; cs and ss must be of RPL 3.

namespace streak {
struct Vcpu;
}

extern "C" {

/// First C++ function of the boot processor, on its final stack, with exceptions working. (init/main.cpp)
[[noreturn]] void streak_main(streak::u32 magic, streak::u64 multiboot_info_maddr);

/// SYSCALL of a guest kernel. (hypercall/dispatch.cpp)
void handle_hypercall(streak::Vcpu* vcpu);

/// SYSCALL of a guest's user mode (vector_syscall), and any 32-bit SYSCALL (vector_syscall32) or SYSENTER
/// (vector_sysenter: rip and rsp are unknown and zero). (pv/)
void handle_guest_syscall(streak::Vcpu* vcpu);

/// Exceptions 0-31 in guest mode but for NMI, #DF, #MC; regs.vector and regs.error_code say which. (pv/)
void handle_guest_exception(streak::Vcpu* vcpu);

/// The IRETQ that was to enter the guest faulted on its frame; regs holds the complete guest state, but
/// vector and error_code are those of the fault. (pv/)
void handle_iret_fault(streak::Vcpu* vcpu);

/// Vectors 32-255, from guest mode (regs == &current().regs), the idle loop or an interrupt window.
void handle_interrupt(streak::u32 vector, streak::arch::Registers* regs);

/// PerCpu::work, Vcpu::exit_work or an unmasked pending event was seen on the way out. May schedule.
void handle_exit_work();

/// What an idle vCPU does; may return, then the exit path looks at current() again.
void idle_loop();

/// From guest mode on the CPU's stack, and otherwise on a stack of its own that a second NMI would
/// overwrite: no faults, no locks that others hold for long. (arch/smp.cpp)
void handle_nmi(streak::arch::Registers* regs);
void handle_machine_check(streak::arch::Registers* regs);

/// Exceptions at CPL 0: fix-ups, or our own bugs. (arch/exceptions.cpp)
void handle_hypervisor_exception(streak::arch::Registers* regs);
void handle_hypervisor_debug(streak::arch::Registers* regs);
void handle_double_fault(streak::arch::Registers* regs);
}
