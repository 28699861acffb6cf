// SPDX-License-Identifier: GPL-2.0-only
#include "arch/cr.hpp"
#include "arch/handlers.hpp"
#include "domain/log_dirty.hpp"
#include "domain/trace.hpp"
#include "pv/debug_registers.hpp"
#include "pv/descriptor_tables.hpp"
#include "pv/entry_frame.hpp"
#include "pv/privop_emulate.hpp"
#include "pv/trap_bounce.hpp"
#include "pv/writable_pt.hpp"

// Exceptions in guest mode. Most are the guest's own and are bounced; the rest is what running a kernel in
// ring 3 needs: privileged instructions, page tables that look writable, software interrupts through the
// virtual IDT.

namespace streak::pv {

namespace {

using arch::Trap;

constexpr u32 pf_present = 1, pf_write = 2, pf_user = 4, pf_protected_write = pf_present | pf_write | pf_user;
constexpr u32 idt_error = 2;

bool assists_page_tables(const Vcpu& v) { return v.domain->vm_assist & (1u << VMASST_TYPE_writable_pagetables); }

/// A fault at an address of the hypervisor. Descriptor loads reach the windows; all else is the guest's
/// mistake.
[[gnu::cold, gnu::noinline]] void fault_in_hypervisor_range(Vcpu& v, u64 address, u32 error_code) {
    u64 offset;
    if (in_ldt_window(address, offset)) {
        if (!fix_ldt_fault(v, address)) inject_page_fault(v, v.pv.ldt_base + offset, error_code);
        return;
    }
    // What is mapped there is nobody's business: all of it looks absent.
    inject_page_fault(v, address, error_code & ~pf_present);
}

void handle_page_fault(Vcpu& v) {
    const u64 address = arch::read_cr2();
    u32 error_code = v.regs.error_code;
    if (address - arch::hypervisor_start < arch::hypervisor_end - arch::hypervisor_start) [[unlikely]]
        return fault_in_hypervisor_range(v, address, error_code);
    if (unlikely(v.soft_tlb && log_dirty::handle_fault(v, address, error_code))) return;
    if (error_code == pf_protected_write && v.in_kernel && assists_page_tables(v) &&
        emulate_page_table_write(v, address))
        return;
    const TrapEntry& entry = v.pv.traps[static_cast<unsigned>(Trap::page_fault)];
    if (unlikely(entry.address == 0)) return inject_page_fault(v, address, error_code);
    v.pv.cr2 = address;
    v.info->arch.cr2 = address;
    push_frame<FrameExtra::error_code>(v, entry.address, entry.masks_events,
                                       v.in_kernel ? error_code & ~pf_user : error_code);
}

/// INT n. The vector is that of the instruction: an emulator may report a wrong one in the error code.
void handle_software_interrupt(Vcpu& v) {
    const SoftwareInterrupt call = decode_software_interrupt(v);
    const u8 vector = call.length != 0 ? call.vector : static_cast<u8>(v.regs.error_code >> 3);
    const TrapEntry& entry = v.pv.traps[vector];
    if (entry.address == 0 || entry.dpl < (v.in_kernel ? 1 : 3))
        return inject(v, Trap::general_protection, vector * 8 + idt_error);
    v.regs.rip += call.length != 0 ? call.length : 2;
    bounce(v, entry.address, entry.masks_events);
}

void handle_general_protection(Vcpu& v) {
    const u32 error_code = v.regs.error_code;
    if (error_code & idt_error) return handle_software_interrupt(v);
    if (error_code == 0 && emulate_privileged(v)) return;
    inject(v, Trap::general_protection, error_code);
}

/// Delivering #NM ends TS, as the guest's CLTS would (xen/xen.h, HYPERVISOR_fpu_taskswitch).
void handle_no_device(Vcpu& v) {
    arch::clear_ts();
    if (!(v.pv.cr0 & arch::cr0::ts)) return;
    v.pv.cr0 &= ~arch::cr0::ts;
    inject(v, Trap::no_device);
}

void handle_debug(Vcpu& v) {
    note_debug_status(v, arch::read_dr6());
    arch::write_dr6(dr6_default);
    inject(v, Trap::debug);
}

/// TRC_PV_PAGE_FAULT and TRC_PV_TRAP, with 64-bit addresses (xen/trace.h).
[[gnu::cold, gnu::noinline, gnu::no_caller_saved_registers]] void record_exception(const Vcpu& v) {
    const arch::Registers& r = v.regs;
    const u64 address = arch::read_cr2();
    const u32 which = r.vector | u32{has_error_code(r.vector)} << 15 | r.error_code << 16;
    const bool fault = r.vector == static_cast<u32>(Trap::page_fault);
    const auto words =
        std::bit_cast<std::array<u32, 6>>(std::array<u64, 3>{r.rip, fault ? address : which, r.error_code});
    trace::record((fault ? TRC_PV_PAGE_FAULT : TRC_PV_TRAP) | TRC_64_FLAG, std::span(words).first(fault ? 5 : 3));
}

} // namespace

} // namespace streak::pv

using namespace streak;

extern "C" void handle_guest_exception(Vcpu* vcpu) {
    Vcpu& v = *vcpu;
    if (trace::enabled()) pv::record_exception(v);
    if (likely(v.regs.vector == static_cast<u32>(arch::Trap::page_fault))) return pv::handle_page_fault(v);
    switch (const auto trap = static_cast<arch::Trap>(v.regs.vector)) {
    case arch::Trap::general_protection: return pv::handle_general_protection(v);
    case arch::Trap::no_device: return pv::handle_no_device(v);
    case arch::Trap::debug: return pv::handle_debug(v);
    case arch::Trap::invalid_opcode:
        if (!pv::emulate_forced(v)) pv::inject(v, trap);
        return;
    default: return pv::inject(v, trap, v.regs.error_code);
    }
}

/// The state the kernel wanted to return to can't be loaded: it is told so, unless the code segment lay on a
/// page of the LDT that the window did not show yet.
extern "C" void handle_iret_fault(Vcpu* vcpu) {
    Vcpu& v = *vcpu;
    if (static_cast<arch::Trap>(v.regs.vector) == arch::Trap::page_fault && pv::fix_ldt_fault(v, arch::read_cr2())) {
        v.regs.vector = 0;
        return;
    }
    pv::bounce_failsafe(v);
}
