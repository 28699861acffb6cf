// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// Every hypercall handler; the signature says how its registers decode.

namespace streak::hypercall {

// Version, memory, console, several calls in one
Return xen_version(i32 command, RawHandle argument);
Return memory_op(u64 command, RawHandle argument);
Return console_io(u32 command, u32 count, GuestHandle<char> buffer);
Return multicall(GuestHandle<multicall_entry_t> list, u32 count);

// Page tables
Return mmu_update(GuestHandle<mmu_update_t> requests, u32 count, GuestHandle<u32> done, u32 foreign);
Return mmuext_op(GuestHandle<mmuext_op_t> ops, u32 count, GuestHandle<u32> done, u32 foreign);
Return update_va_mapping(u64 va, u64 value, u64 flags);
Return update_va_mapping_otherdomain(u64 va, u64 value, u64 flags, DomId domain);

// Processors and time
Return sched_op(i32 cmd, RawHandle arg);
Return sched_op_compat(i32 cmd, u64 arg);
Return vcpu_op(i32 cmd, u32 vcpu, RawHandle arg);
Return set_timer_op(i64 timeout);

// Events, grants, interrupts, the machine
Return event_channel_op(u32 cmd, RawHandle arg);
Return event_channel_op_compat(RawHandle op);
Return grant_table_op(u32 cmd, RawHandle list, u32 count);
Return physdev_op(i32 cmd, RawHandle arg);
Return physdev_op_compat(RawHandle op);
Return platform_op(RawHandle op);
Return machine_check_op(RawHandle arg);
Return domctl(RawHandle op);
Return sysctl(RawHandle op);
Return xenpmu_op(u32 cmd, RawHandle arg);
Return nmi_op(u32 cmd, RawHandle arg);

// Guest entry and return, descriptors, processor state (pv/)
Return set_trap_table(GuestHandle<trap_info_t> traps);
Return iret();
Return stack_switch(u64 ss, u64 sp);
Return callback_op(u32 cmd, RawHandle arg);
Return set_callbacks(u64 event, u64 failsafe, u64 syscall);
Return set_segment_base(u32 which, u64 base);
Return set_gdt(GuestHandle<xen_ulong_t> frames, u32 entries);
Return update_descriptor(u64 maddr, u64 descriptor);
Return set_debugreg(u32 reg, u64 value);
Return get_debugreg(u32 reg);
Return fpu_taskswitch(i32 set);
Return vm_assist(u32 cmd, u32 type);

} // namespace streak::hypercall
