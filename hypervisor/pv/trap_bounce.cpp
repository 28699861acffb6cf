// SPDX-License-Identifier: GPL-2.0-only
#include "pv/trap_bounce.hpp"

#include "arch/dump.hpp"
#include "arch/handlers.hpp"
#include "pv/entry_frame.hpp"

namespace streak::pv {

namespace {

constexpr u32 page_fault_user = 4;

[[gnu::cold, gnu::noinline]] void no_handler(Vcpu& v, unsigned vector, u32 error_code) {
    log_error("d{}v{} exception {} [{:04x}] without a handler", v.domain->id, v.id, vector, error_code);
    log_guest_registers(v);
    crash_domain(*v.domain, "exception without a handler");
}

} // namespace

void cannot_push_frame(Vcpu& v) {
    log_guest_registers(v);
    crash_domain(*v.domain, "cannot push exception frame");
}

void bounce(Vcpu& v, u64 address, bool masks_events) { push_frame<FrameExtra::none>(v, address, masks_events); }

void inject(Vcpu& v, arch::Trap trap, u32 error_code) {
    const unsigned vector = static_cast<unsigned>(trap);
    const TrapEntry& entry = v.pv.traps[vector];
    if (entry.address == 0) return no_handler(v, vector, error_code);
    if (has_error_code(vector)) push_frame<FrameExtra::error_code>(v, entry.address, entry.masks_events, error_code);
    else bounce(v, entry.address, entry.masks_events);
}

void inject_page_fault(Vcpu& v, u64 address, u32 error_code) {
    // The guest's kernel shares ring 3 with its user mode: only the latter's faults carry the user bit.
    if (v.in_kernel) error_code &= ~page_fault_user;
    v.pv.cr2 = address;
    v.info->arch.cr2 = address;
    const TrapEntry& entry = v.pv.traps[static_cast<unsigned>(arch::Trap::page_fault)];
    if (entry.address == 0) [[unlikely]] {
        log_error("d{}v{} page fault at {:#x}", v.domain->id, v.id, address);
        return no_handler(v, static_cast<unsigned>(arch::Trap::page_fault), error_code);
    }
    push_frame<FrameExtra::error_code>(v, entry.address, entry.masks_events, error_code);
}

void bounce_failsafe(Vcpu& v) {
    const Callback& callback = v.pv.failsafe;
    if (callback.address == 0) {
        log_guest_registers(v);
        return crash_domain(*v.domain, "state cannot be loaded, and no failsafe callback");
    }
    push_frame<FrameExtra::selectors>(v, callback.address, callback.masks_events);
}

void deliver_nmi(Vcpu& v) {
    v.exit_work.fetch_and(static_cast<u8>(~static_cast<u8>(ExitWork::nmi)));
    if (v.pv.in_nmi) {
        v.pv.nmi_waits = true;
        return;
    }
    const TrapEntry& entry = v.pv.traps[static_cast<unsigned>(arch::Trap::nmi)];
    const u64 address = v.pv.nmi.address ? v.pv.nmi.address : entry.address;
    if (address == 0) return;
    v.pv.in_nmi = true;
    bounce(v, address, true);
}

void log_guest_registers(const Vcpu& v) {
    const arch::Registers& r = v.regs;
    log_error("d{}v{} {} mode, vector {} error {:#x} cr2 {:016x} cr3 {:016x}", v.domain->id, v.id,
              v.in_kernel ? "kernel" : "user", r.vector, r.error_code, v.pv.cr2,
              v.in_kernel ? v.cr3_kernel : v.cr3_user);
    log_error("rip {:04x}:{:016x} rsp {:04x}:{:016x} flags {:08x}", r.cs, r.rip, r.ss, r.rsp, r.rflags);
    arch::log_general_registers(LogLevel::error, r);
    u64 stack[8];
    if (arch::copy_from_guest(stack, Vaddr(r.rsp), sizeof stack))
        for (unsigned i = 0; i < 8; i += 4)
            log_error("stack {:016x} {:016x} {:016x} {:016x}", stack[i], stack[i + 1], stack[i + 2], stack[i + 3]);
}

} // namespace streak::pv

using namespace streak;

namespace {

/// A 32-bit SYSCALL or SYSENTER, or a SYSCALL that nobody wants.
[[gnu::cold, gnu::noinline]] void handle_other_syscall(Vcpu& v) {
    const bool sysenter = v.regs.vector == arch::vector_sysenter;
    const Callback& callback = sysenter                                  ? v.pv.sysenter
                               : v.regs.vector == arch::vector_syscall32 ? v.pv.syscall32
                                                                         : v.pv.syscall;
    if (callback.address != 0) return pv::bounce(v, callback.address, callback.masks_events);
    if (sysenter) return pv::inject(v, arch::Trap::general_protection);
    v.regs.rip -= 2;
    pv::inject(v, arch::Trap::invalid_opcode);
}

} // namespace

extern "C" void handle_guest_syscall(Vcpu* vcpu) { handle_other_syscall(*vcpu); }

extern "C" void handle_user_syscall(Vcpu* vcpu) {
    Vcpu& v = *vcpu;
    const Callback& callback = v.pv.syscall;
    if (unlikely(callback.address == 0)) return handle_other_syscall(v);
    if (v.in_kernel) __builtin_unreachable(); // entry.S has looked
    pv::push_frame<pv::FrameExtra::none>(v, callback.address, callback.masks_events);
}

extern "C" void handle_event(Vcpu* vcpu) {
    Vcpu& v = *vcpu;
    if (unlikely(v.pv.event.address == 0)) return crash_domain(*v.domain, "event without an event callback");
    pv::push_frame<pv::FrameExtra::none>(v, v.pv.event.address, true);
}
