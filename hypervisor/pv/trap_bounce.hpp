// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

// How a guest kernel is entered for an exception, an event or a system call. The frame on its stack is the
// processor's, with cs carrying the saved upcall mask in bits 39:32 and with rcx and r11 on top, because the
// hypervisor may enter by SYSRET:
//
//   rcx, r11, [ds, es, fs, gs: failsafe only], [error code], rip, cs, rflags, rsp, ss
//
// From guest-kernel mode the frame goes below the present rsp, from user mode onto the stack of
// HYPERVISOR_stack_switch. A frame that can't be written ends the domain.

namespace streak::pv {

[[nodiscard]] constexpr bool has_error_code(unsigned vector) {
    constexpr u32 with_code = 1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21;
    return vector < 32 && ((with_code >> vector) & 1);
}

/// Enters the guest kernel at `address`, without an error code; `masks_events` sets the upcall mask.
void bounce(Vcpu& v, u64 address, bool masks_events);

/// Raises an exception through the guest's trap table: with an error code where the vector has one. A
/// guest without a handler is ended, with its registers in the log.
void inject(Vcpu& v, arch::Trap trap, u32 error_code = 0);

/// Raises a page fault at `address`; `error_code` as the processor gives it.
void inject_page_fault(Vcpu& v, u64 address, u32 error_code);

/// Tells the kernel that the state it wanted to return to can't be loaded (CALLBACKTYPE_failsafe).
void bounce_failsafe(Vcpu& v);

/// Enters the NMI handler, if there is one; while it runs, a further NMI waits for its iret.
void deliver_nmi(Vcpu& v);

/// Writes the guest's registers to the log.
void log_guest_registers(const Vcpu& v);

} // namespace streak::pv
