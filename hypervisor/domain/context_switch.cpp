// SPDX-License-Identifier: GPL-2.0-only
#include "domain/context_switch.hpp"

#include "arch/descriptor.hpp"
#include "arch/fpu.hpp"
#include "arch/segment.hpp"
#include "arch/speculation.hpp"
#include "domain/domain.hpp"
#include "mm/host_env.hpp"
#include "mm/host_page_table.hpp"

namespace streak {

namespace {

constexpr u64 dr7_enables = 0xff;

Mfn frame_of(const mm::PageInfo* page) { return page != nullptr ? mm::mfn_of(*page) : invalid_mfn; }

void save_segments(PvState& pv, bool in_kernel) {
    pv.ds = arch::read_ds();
    pv.es = arch::read_es();
    pv.fs = arch::read_fs();
    pv.gs = arch::read_gs();
    pv.fs_base = arch::read_fs_base();
    (in_kernel ? pv.gs_base_kernel : pv.gs_base_user) = arch::read_guest_gs_base();
}

/// Selectors first: loading one sets the base. A selector whose descriptor has gone becomes null.
void load_segments(const PvState& pv, bool in_kernel) {
    arch::load_ds(pv.ds);
    arch::load_es(pv.es);
    arch::load_fs(pv.fs);
    arch::load_guest_gs(pv.gs);
    arch::write_fs_base(pv.fs_base);
    arch::write_guest_gs_base(in_kernel ? pv.gs_base_kernel : pv.gs_base_user);
}

/// RDTSC traps where the guest asked for it, or its time is to be emulated (tsc_mode of DOMCTL_settscinfo).
bool traps_tsc(const Vcpu& vcpu) { return (vcpu.pv.cr4 & arch::cr4::tsd) != 0 || vcpu.domain->tsc_mode == 1; }

void save(Vcpu& vcpu) {
    save_segments(vcpu.pv, vcpu.in_kernel != 0);
    if ((vcpu.pv.dr[7] & dr7_enables) != 0) arch::write_dr7(0x400);
}

/// What another domain has taught the branch predictors of this CPU goes before `to` runs.
void forget_predictions(const Domain& to) {
    arch::PerCpu& cpu = arch::this_cpu();
    if (cpu.last_guest == to.serial) return;
    cpu.last_guest = to.serial;
    arch::write_msr(arch::msr::pred_cmd, 1); // IBPB
}

void load(Vcpu& vcpu) {
    PvState& pv = vcpu.pv;
    show_gdt(vcpu);
    show_ldt(vcpu);
    load_segments(pv, vcpu.in_kernel != 0);
    if ((pv.dr[7] & dr7_enables) != 0) load_debug_registers(pv);
    const u64 cr4 = arch::host_cr4() | (traps_tsc(vcpu) ? arch::cr4::tsd : 0);
    if (arch::read_cr4() != cr4) arch::write_cr4(cr4);
    if (arch::cpu_features.rdtscp) arch::write_msr(arch::msr::tsc_aux, pv.tsc_aux);
    if ((pv.cr0 & arch::cr0::ts) != 0) arch::set_ts();
}

} // namespace

void load_debug_registers(const PvState& pv) {
    arch::write_dr0(pv.dr[0]);
    arch::write_dr1(pv.dr[1]);
    arch::write_dr2(pv.dr[2]);
    arch::write_dr3(pv.dr[3]);
    arch::write_dr7(pv.dr[7]);
}

void show_gdt(const Vcpu& vcpu) {
    for (u32 i = 0; i < arch::first_reserved_gdt_page; ++i)
        arch::set_gdt_window_frame(i, i < vcpu.pv.gdt_frame_count ? frame_of(vcpu.pv.gdt_frames[i]) : invalid_mfn);
}

void show_ldt(const Vcpu& vcpu) {
    for (u32 i = 0; i < arch::ldt_window_pages; ++i) arch::set_ldt_window_frame(i, frame_of(vcpu.pv.ldt_frames[i]));
    arch::load_ldt(vcpu.pv.ldt_entries);
}

void load_tables(Vcpu& vcpu) {
    if (vcpu.in_kernel) mm::show_m2p(vcpu.cr3_kernel);
    if (!vcpu.soft_tlb) [[likely]] {
        vcpu.root_kernel = vcpu.cr3_kernel;
        vcpu.root_user = vcpu.cr3_user;
    }
    tlb::load_cr3(vcpu.active_root());
}

void use_user_base(Vcpu& vcpu) {
    if (unlikely(vcpu.soft_tlb)) tlb::flush_local(tlb::Flush::guest);
    else vcpu.root_user = vcpu.cr3_user;
}

void context_switch(Vcpu& previous, Vcpu& next) {
    const CpuId cpu = arch::cpu_id();
    Domain* const from = previous.domain;
    Domain* const to = next.domain;

    if (from != nullptr) save(previous);
    arch::fpu_switch(previous.fpu, next.fpu, next.pv.xcr0);
    arch::set_current(next, next.regs);
    arch::this_cpu().soft_tlb = next.soft_tlb != nullptr;
    if (to != nullptr) {
        // Entered before the tables are used: a shoot-down from now on includes this CPU.
        to->dirty_cpus.set(cpu);
        load_tables(next);
        load(next);
        if (arch::measures.ibpb) forget_predictions(*to);
    } else {
        tlb::load_cr3(mm::hypervisor_cr3().raw());
    }
    if (from != nullptr && from != to) from->dirty_cpus.clear(cpu);
}

} // namespace streak
