// SPDX-License-Identifier: GPL-2.0-only
#include "arch/guest_words.hpp"
#include "hypercall/handlers.hpp"
#include "pv/guest_mode.hpp"
#include "pv/trap_bounce.hpp"

namespace streak::hypercall {

namespace {

namespace flags = arch::rflags;
using arch::get_guest_word;

/// What a guest may choose: the status flags, TF, DF, RF, AC and ID. NT would fault the next IRETQ.
constexpr u64 guest_flags = 0x250dd5 & ~flags::if_;

static_assert(sizeof(iret_context) == 9 * sizeof(u64));

[[gnu::cold, gnu::noinline]] Return give_up(Vcpu& v, const char* reason) {
    pv::log_guest_registers(v);
    crash_domain(*v.domain, reason);
    return 0;
}

/// An NMI that came while the handler ran is due now.
[[gnu::cold, gnu::noinline]] void end_nmi(Vcpu& v) {
    v.pv.in_nmi = false;
    if (v.pv.nmi_waits) v.exit_work.fetch_or(static_cast<u8>(ExitWork::nmi));
    v.pv.nmi_waits = false;
}

} // namespace

/// Leaves the guest kernel by the frame at its rsp (xen/arch-x86/xen-x86_64.h, iret_context). The value
/// "returned" is the frame's rax, so that the dispatcher puts it where it belongs.
Return iret() {
    TRY(may(xsm::Hook::iret, caller()));
    Vcpu& v = current();
    arch::Registers& r = v.regs;
    const u64 at = r.rsp;
    if (unlikely(!arch::guest_range_ok(at, sizeof(iret_context)))) return give_up(v, "no iret frame");
    u64 rax, frame_flags, cs, rflags, ss;
    arch::open_guest_words();
    // What is taken as it is goes straight to its place: without a whole frame the domain ends anyway. (With
    // VGCF_in_syscall rcx and r11 are dead, so that the frame's do no harm.)
    if (!get_guest_word<1>(at, r.r11) || !get_guest_word<2>(at, r.rcx) || !get_guest_word<4>(at, r.rip) ||
        !get_guest_word<7>(at, r.rsp) || !get_guest_word<8>(at, ss) || !get_guest_word<5>(at, cs) ||
        !get_guest_word<3>(at, frame_flags) || !get_guest_word<6>(at, rflags) || !get_guest_word<0>(at, rax))
        [[unlikely]] {
        arch::close_guest_words();
        return give_up(v, "cannot read iret frame");
    }
    arch::close_guest_words();

    r.ss = (ss & 0xffff) | 3;
    r.cs = (cs & 0xffff) | 3;
    static_assert(arch::vector_sysret == VGCF_in_syscall);
    r.vector = static_cast<u32>(frame_flags & VGCF_in_syscall);
    r.rflags = (rflags & guest_flags) | flags::if_ | flags::fixed;
    if ((cs & 3) == 3) {
        if (unlikely(v.cr3_user == 0)) return give_up(v, "iret to user mode without user page tables");
        pv::enter_user_mode(v);
    }
    if (unlikely(v.domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl))) v.pv.iopl = (rflags >> 12) & 3;
    if (unlikely(v.pv.in_nmi)) end_nmi(v);

    v.info->evtchn_upcall_mask = (rflags & flags::if_) == 0;
    return static_cast<i64>(rax);
}

} // namespace streak::hypercall
