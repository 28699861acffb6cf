// SPDX-License-Identifier: GPL-2.0-only
#include "pv/trap_bounce.hpp"

#include "arch/guest_words.hpp"
#include "arch/handlers.hpp"
#include "arch/segment.hpp"
#include "arch/uaccess.hpp"
#include "domain/domain.hpp"
#include "lib/log.hpp"
#include "pv/guest_mode.hpp"

namespace streak::pv {

namespace {

namespace flags = arch::rflags;

/// Flags that are off when a guest entry begins. IF stays on: it is the processor's, not the guest's.
constexpr u64 cleared_flags = flags::tf | flags::nt | flags::rf | flags::vm | flags::ac | flags::iopl;

constexpr u32 page_fault_user = 4;

enum class Extra { none, error_code, selectors };

constexpr unsigned words_of(Extra extra)
{
    return 7 + (extra == Extra::error_code ? 1 : extra == Extra::selectors ? 4 : 0);
}

[[gnu::cold, gnu::noinline]] void cannot_push(Vcpu& v)
{
    log_guest_registers(v);
    crash_domain(*v.domain, "cannot push exception frame");
}

/// Puts what HYPERVISOR_iret will take back at `to`.
[[gnu::always_inline]] inline void fill_return(u64* to, const Vcpu& v, u64 cs)
{
    const arch::Registers& r = v.regs;
    const u64 mask = v.info->evtchn_upcall_mask;
    to[0] = r.rip;
    to[1] = cs | mask << 32;
    to[2] = (r.rflags & ~(flags::if_ | flags::iopl)) | (mask ? 0 : flags::if_);
    if (v.domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl)) [[unlikely]]
        to[2] |= static_cast<u64>(v.pv.iopl) << 12;
    to[3] = r.rsp;
    to[4] = r.ss;
}

template <Extra extra>
[[gnu::always_inline]] inline void push_frame(Vcpu& v, u64 address, bool masks_events, u32 error_code)
{
    arch::Registers& r = v.regs;
    u64 top = r.rsp;
    u64 cs = r.cs & 0xfffc;
    if (!v.in_kernel) {
        enter_kernel_mode(v);
        top = v.pv.kernel_sp;
        cs |= 3;
    }
    constexpr unsigned words = words_of(extra);
    u64 frame[words];
    frame[0] = r.rcx;
    frame[1] = r.r11;
    if constexpr (extra == Extra::error_code)
        frame[2] = error_code;
    if constexpr (extra == Extra::selectors) {
        frame[2] = arch::read_ds();
        frame[3] = arch::read_es();
        frame[4] = arch::read_fs();
        frame[5] = arch::read_gs();
    }
    fill_return(frame + words - 5, v, cs);

    const u64 sp = (top & ~15ull) - sizeof frame;
    if (address == 0 || !arch::push_words_to_guest<words>(Vaddr(sp), frame)) [[unlikely]]
        return cannot_push(v);

    if (masks_events)
        v.info->evtchn_upcall_mask = 1;
    r.vector = arch::vector_syscall; // the handler takes rcx and r11 from the frame
    r.rip = address;
    r.cs = FLAT_KERNEL_CS;
    r.rflags &= ~cleared_flags;
    r.rsp = sp;
    r.ss = FLAT_KERNEL_SS;
}

constexpr bool has_error_code(unsigned vector)
{
    constexpr u32 with_code = 1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21;
    return vector < 32 && ((with_code >> vector) & 1);
}

[[gnu::cold, gnu::noinline]] void no_handler(Vcpu& v, unsigned vector, u32 error_code)
{
    log_error("d{}v{} exception {} [{:04x}] without a handler", v.domain->id, v.id, vector, error_code);
    log_guest_registers(v);
    crash_domain(*v.domain, "exception without a handler");
}

} // namespace

void bounce(Vcpu& v, u64 address, bool masks_events) { push_frame<Extra::none>(v, address, masks_events, 0); }

void bounce_with_error(Vcpu& v, u64 address, bool masks_events, u32 error_code)
{
    push_frame<Extra::error_code>(v, address, masks_events, error_code);
}

void inject(Vcpu& v, arch::Trap trap, u32 error_code)
{
    const unsigned vector = static_cast<unsigned>(trap);
    const TrapEntry& entry = v.pv.traps[vector];
    if (entry.address == 0)
        return no_handler(v, vector, error_code);
    if (has_error_code(vector))
        bounce_with_error(v, entry.address, entry.masks_events, error_code);
    else
        bounce(v, entry.address, entry.masks_events);
}

void inject_page_fault(Vcpu& v, u64 address, u32 error_code)
{
    // The guest's kernel shares ring 3 with its user mode: only the latter's faults carry the user bit.
    if (v.in_kernel)
        error_code &= ~page_fault_user;
    v.pv.cr2 = address;
    v.info->arch.cr2 = address;
    const TrapEntry& entry = v.pv.traps[static_cast<unsigned>(arch::Trap::page_fault)];
    if (entry.address == 0) [[unlikely]] {
        log_error("d{}v{} page fault at {:#x}", v.domain->id, v.id, address);
        return no_handler(v, static_cast<unsigned>(arch::Trap::page_fault), error_code);
    }
    push_frame<Extra::error_code>(v, entry.address, entry.masks_events, error_code);
}

void bounce_failsafe(Vcpu& v)
{
    const Callback& callback = v.pv.failsafe;
    if (callback.address == 0) {
        log_guest_registers(v);
        return crash_domain(*v.domain, "state cannot be loaded, and no failsafe callback");
    }
    push_frame<Extra::selectors>(v, callback.address, callback.masks_events, 0);
}

void deliver_events(Vcpu& v)
{
    if (v.pv.event.address == 0) [[unlikely]]
        return crash_domain(*v.domain, "event without an event callback");
    push_frame<Extra::none>(v, v.pv.event.address, true, 0);
}

void deliver_nmi(Vcpu& v)
{
    v.exit_work.fetch_and(static_cast<u8>(~static_cast<u8>(ExitWork::nmi)));
    if (v.pv.in_nmi) {
        v.pv.nmi_waits = true;
        return;
    }
    const TrapEntry& entry = v.pv.traps[static_cast<unsigned>(arch::Trap::nmi)];
    const u64 address = v.pv.nmi.address ? v.pv.nmi.address : entry.address;
    if (address == 0)
        return;
    v.pv.in_nmi = true;
    bounce(v, address, true);
}

void log_guest_registers(const Vcpu& v)
{
    const arch::Registers& r = v.regs;
    log_error("d{}v{} {} mode, vector {} error {:#x} cr2 {:016x} cr3 {:016x}", v.domain->id, v.id,
              v.in_kernel ? "kernel" : "user", r.vector, r.error_code, v.pv.cr2, v.active_cr3());
    log_error("rip {:04x}:{:016x} rsp {:04x}:{:016x} flags {:08x}", r.cs, r.rip, r.ss, r.rsp, r.rflags);
    log_error("rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}", r.rax, r.rbx, r.rcx, r.rdx);
    log_error("rsi {:016x} rdi {:016x} rbp {:016x} r8  {:016x}", r.rsi, r.rdi, r.rbp, r.r8);
    log_error("r9  {:016x} r10 {:016x} r11 {:016x} r12 {:016x}", r.r9, r.r10, r.r11, r.r12);
    log_error("r13 {:016x} r14 {:016x} r15 {:016x}", r.r13, r.r14, r.r15);
    u64 stack[8];
    if (arch::copy_from_guest(stack, Vaddr(r.rsp), sizeof stack))
        for (unsigned i = 0; i < 8; i += 4)
            log_error("stack {:016x} {:016x} {:016x} {:016x}", stack[i], stack[i + 1], stack[i + 2], stack[i + 3]);
}

} // namespace streak::pv

using namespace streak;

extern "C" void handle_guest_syscall(Vcpu* vcpu)
{
    Vcpu& v = *vcpu;
    const Callback* callback = &v.pv.syscall;
    if (v.regs.vector != arch::vector_syscall) [[unlikely]] {
        callback = v.regs.vector == arch::vector_sysenter ? &v.pv.sysenter : &v.pv.syscall32;
        if (callback->address == 0 && v.regs.vector == arch::vector_sysenter)
            return pv::inject(v, arch::Trap::general_protection);
    }
    if (callback->address == 0) [[unlikely]] {
        v.regs.rip -= 2;
        return pv::inject(v, arch::Trap::invalid_opcode);
    }
    pv::bounce(v, callback->address, callback->masks_events);
}
