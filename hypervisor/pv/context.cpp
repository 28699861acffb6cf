// SPDX-License-Identifier: GPL-2.0-only
#include "pv/context.hpp"

#include <cstring>

#include "arch/fpu.hpp"
#include "domain/locked_tables.hpp"
#include "pv/control_registers.hpp"
#include "pv/debug_registers.hpp"
#include "pv/descriptor_tables.hpp"

namespace streak::pv {

namespace {

using Context = vcpu_guest_context_t;
namespace flags = arch::rflags;

constexpr unsigned iopl_shift = 12;
/// Status flags, TF, DF, RF, AC and ID.
constexpr u64 guest_flags = 0x250dd5;
constexpr u8 gate_masks_events = 4;

bool in_kernel(const Context& c) { return (c.flags & VGCF_in_kernel) != 0; }

constexpr u64 frame_part(u64 cr3) { return cr3 & ~(page_size - 1); }

/// Hypervisor segments have DPL 0: with RPL 3 they can't be loaded for the guest.
constexpr u16 guest_selector(u64 selector) {
    const u16 value = static_cast<u16>(selector);
    return value > 3 ? value | 3 : value;
}

// ---- Checks: nothing changes here ----

Result<> check_addresses(const Context& c) {
    const u64 addresses[] = {c.user_regs.rip,         c.user_regs.rsp,        c.kernel_sp, c.event_callback_eip,
                             c.failsafe_callback_eip, c.syscall_callback_eip, c.fs_base,   c.gs_base_kernel,
                             c.gs_base_user};
    if (!std::ranges::all_of(addresses, arch::is_canonical)) return fail(Errno::EINVAL);
    for (const trap_info_t& gate : c.trap_ctxt)
        if (!arch::is_canonical(gate.address)) return fail(Errno::EINVAL);
    return {};
}

Result<> check_descriptor_tables(const Context& c) {
    if (c.gdt_ents > max_gdt_entries || c.ldt_ents > max_ldt_entries) return fail(Errno::EINVAL);
    if (c.ldt_ents != 0 && (c.ldt_base % page_size != 0 || !arch::guest_range_ok(c.ldt_base, c.ldt_ents * sizeof(u64))))
        return fail(Errno::EINVAL);
    return {};
}

Result<> check_bases(const Vcpu& v, const Context& c) {
    const u64 kernel = frame_part(c.ctrlreg[3]), user = frame_part(c.ctrlreg[1]);
    if (!mm::page_of(to_mfn(Maddr(kernel))) || (user != 0 && !mm::page_of(to_mfn(Maddr(user)))))
        return fail(Errno::EINVAL);
    if (kernel == 0 || (user == 0 && !in_kernel(c))) return fail(Errno::EINVAL);
    if (v.initialised && (kernel != v.cr3_kernel || user != v.cr3_user)) return fail(Errno::EOPNOTSUPP);
    return {};
}

// ---- What takes references, and may fail ----

/// The table at `wanted` becomes a base of the vCPU, whose former one is let go. ERESTART.
Result<> take_base(Vcpu& v, u64& base, u64 wanted) {
    if (wanted == base) return {};
    LockedTables tables(*v.domain);
    if (v.domain->dying) return fail(Errno::EINVAL);
    if (wanted != 0) TRY(tables->acquire(mm::page_of_unchecked(to_mfn(Maddr(wanted))), 4, v.owed_table));
    else TRY(tables->settle(v.owed_table));
    if (const u64 old = std::exchange(base, wanted))
        tables->release(mm::page_of_unchecked(to_mfn(Maddr(old))), v.owed_table);
    return {};
}

/// Base pointers of a vCPU that isn't initialised mean nothing: one that was taken before the other was
/// refused may stay.
Result<> take_tables(Vcpu& v, const Context& c) {
    TRY(take_base(v, v.cr3_kernel, frame_part(c.ctrlreg[3])));
    if (v.cr3_kernel != 0) mm::show_m2p(v.cr3_kernel);
    TRY(take_base(v, v.cr3_user, frame_part(c.ctrlreg[1])));
    return set_gdt(v, c.gdt_frames, static_cast<u32>(c.gdt_ents));
}

// ---- What can't fail ----

/// r15 to rdi come first in both structures, in the same order.
constexpr std::size_t general_registers = offsetof(arch::Registers, error_code);
static_assert(offsetof(cpu_user_regs_t, r15) == 0 && offsetof(cpu_user_regs_t, error_code) == general_registers &&
              offsetof(cpu_user_regs_t, rdi) == offsetof(arch::Registers, rdi));

void commit_registers(Vcpu& v, const cpu_user_regs_t& from) {
    arch::Registers& r = v.regs;
    r = {};
    std::memcpy(&r, &from, general_registers);
    r.rip = from.rip;
    r.cs = u64(from.cs) | 3;
    r.rflags = (from.rflags & guest_flags) | flags::if_ | flags::fixed;
    r.rsp = from.rsp;
    r.ss = u64(from.ss) | 3;
    v.pv.iopl = (from.rflags >> iopl_shift) & 3;
    v.pv.ds = guest_selector(from.ds);
    v.pv.es = guest_selector(from.es);
    v.pv.fs = guest_selector(from.fs);
    v.pv.gs = guest_selector(from.gs);
}

void commit_entries(PvState& pv, const Context& c) {
    for (u64 i = 0; i < pv.traps.size(); ++i) {
        const trap_info_t& gate = c.trap_ctxt[i];
        pv.traps[i] = {.address = gate.address,
                       .cs = static_cast<u16>(gate.cs | 3),
                       .dpl = static_cast<u8>(TI_GET_DPL(&gate)),
                       .masks_events = TI_GET_IF(&gate) != 0};
    }
    pv.event = {.address = c.event_callback_eip, .masks_events = true};
    pv.failsafe = {c.failsafe_callback_eip, (c.flags & VGCF_failsafe_disables_events) != 0};
    pv.syscall = {c.syscall_callback_eip, (c.flags & VGCF_syscall_disables_events) != 0};
    pv.kernel_ss = (c.kernel_ss & 0xffff) | 3;
    pv.kernel_sp = c.kernel_sp;
}

/// A refused register keeps the value it has after a reset.
void commit_debug_registers(Vcpu& v, const Context& c) {
    v.pv.dr = {};
    for (const unsigned reg : {0u, 1u, 2u, 3u, 6u, 7u}) (void)write_debug_register(v, reg, c.debugreg[reg]);
}

void commit(Vcpu& v, const Context& c) {
    PvState& pv = v.pv;
    v.in_kernel = in_kernel(c);
    commit_registers(v, c.user_regs);
    commit_entries(pv, c);
    pv.cr0 = c.ctrlreg[0] & arch::cr0::ts;
    pv.cr4 = choosable_cr4(c.ctrlreg[4]);
    commit_debug_registers(v, c);
    pv.fs_base = c.fs_base;
    pv.gs_base_kernel = c.gs_base_kernel;
    pv.gs_base_user = c.gs_base_user;
    if ((c.flags & VGCF_i387_valid) != 0) arch::fpu_import(v.fpu, &c.fpu_ctxt);
    else arch::fpu_init_area(v.fpu);
    if (v.id == VcpuId(0)) v.domain->vm_assist = c.vm_assist & valid_vm_assists;
}

// ---- Reading ----

void read_registers(const Vcpu& v, cpu_user_regs_t& to) {
    const arch::Registers& r = v.regs;
    std::memcpy(&to, &r, general_registers);
    to.rip = r.rip, to.rsp = r.rsp;
    to.rflags = (r.rflags & ~flags::iopl) | static_cast<u64>(v.pv.iopl) << iopl_shift;
    to.cs = static_cast<u16>(r.cs), to.ss = static_cast<u16>(r.ss);
    to.ds = v.pv.ds, to.es = v.pv.es, to.fs = v.pv.fs, to.gs = v.pv.gs;
}

void read_entries(const PvState& pv, Context& c) {
    for (u64 i = 0; i < pv.traps.size(); ++i) {
        const TrapEntry& entry = pv.traps[i];
        c.trap_ctxt[i] = {.vector = static_cast<u8>(i),
                          .flags = static_cast<u8>(entry.dpl | (entry.masks_events ? gate_masks_events : 0)),
                          .cs = entry.cs,
                          .address = entry.address};
    }
    c.event_callback_eip = pv.event.address;
    c.failsafe_callback_eip = pv.failsafe.address;
    c.syscall_callback_eip = pv.syscall.address;
    c.kernel_ss = pv.kernel_ss;
    c.kernel_sp = pv.kernel_sp;
}

void read_tables(const Vcpu& v, Context& c) {
    c.gdt_ents = v.pv.gdt_entries;
    for (u32 i = 0; i < v.pv.gdt_frame_count; ++i) c.gdt_frames[i] = mm::mfn_of(*v.pv.gdt_frames[i]).raw();
    c.ldt_base = v.pv.ldt_base;
    c.ldt_ents = v.pv.ldt_entries;
    for (const unsigned number : {0u, 2u, 4u}) {
        u64 value = 0;
        if (read_control_register(v, number, value)) c.ctrlreg[number] = value;
    }
    c.ctrlreg[1] = v.cr3_user;
    c.ctrlreg[3] = v.cr3_kernel;
}

u64 read_flags(const Vcpu& v) {
    return VGCF_i387_valid | (v.in_kernel ? VGCF_in_kernel : 0) |
           (v.pv.failsafe.masks_events ? VGCF_failsafe_disables_events : 0) |
           (v.pv.syscall.masks_events ? VGCF_syscall_disables_events : 0) | (v.sched.state.is_up() ? VGCF_online : 0);
}

} // namespace

Result<> set_context(Vcpu& v, const Context& context) {
    TRY(check_addresses(context));
    TRY(check_descriptor_tables(context));
    TRY(check_bases(v, context));
    TRY(take_tables(v, context));
    commit(v, context);
    const bool has_ldt = context.ldt_ents != 0;
    return set_ldt(v, has_ldt ? context.ldt_base : 0, static_cast<u32>(context.ldt_ents)); // checked before
}

void get_context(const Vcpu& v, Context& context) {
    std::memset(&context, 0, sizeof context);
    context.flags = read_flags(v);
    arch::fpu_export(v.fpu, &context.fpu_ctxt);
    read_registers(v, context.user_regs);
    read_entries(v.pv, context);
    read_tables(v, context);
    for (const unsigned reg : {0u, 1u, 2u, 3u, 6u, 7u})
        if (const Result<u64> value = read_debug_register(v, reg)) context.debugreg[reg] = *value;
    context.vm_assist = v.domain->vm_assist;
    context.fs_base = v.pv.fs_base;
    context.gs_base_kernel = v.pv.gs_base_kernel;
    context.gs_base_user = v.pv.gs_base_user;
}

} // namespace streak::pv
