// SPDX-License-Identifier: GPL-2.0-only
#include "pv/control_registers.hpp"

#include "arch/cr.hpp"
#include "domain/context_switch.hpp"
#include "domain/locked_tables.hpp"

namespace streak::pv {

namespace {

namespace cr4 = arch::cr4;

/// What every 64-bit PV guest finds on. OSXSAVE is among it: its user mode sees the processor's anyway, and
/// Linux only uses XSAVE when the hypervisor has switched it on.
u64 cr4_fixed() {
    return cr4::pae | cr4::mce | cr4::osfxsr | cr4::osxmmexcpt | (arch::cpu_features.xsave ? cr4::osxsave : 0);
}

void write_cr4(Vcpu& v, u64 value) {
    v.pv.cr4 = choosable_cr4(value);
    const bool traps_tsc = (v.pv.cr4 & cr4::tsd) || v.domain->tsc_mode == 1;
    arch::write_cr4(arch::host_cr4() | (traps_tsc ? cr4::tsd : 0));
}

/// The same as MMUEXT_NEW_BASEPTR.
Result<> new_base(Vcpu& v, u64 cr3) {
    mm::PageInfo* page = mm::page_of(to_mfn(Maddr(cr3)));
    if (!page || cr3 != (cr3 & mm::pte::address_mask)) return fail(Errno::EINVAL);
    if (cr3 == v.cr3_kernel) {
        load_tables(v);
        return {};
    }
    LockedTables tables(*v.domain);
    TRY(tables->acquire(*page, 4, v.owed_table));
    const u64 old = std::exchange(v.cr3_kernel, cr3);
    load_tables(v);
    if (old != 0) tables->release(mm::page_of_unchecked(to_mfn(Maddr(old))), v.owed_table);
    return {};
}

CrWrite write_cr3(Vcpu& v, u64 value) {
    constexpr u64 cache_bits = 0x18;
    const Result<> result = new_base(v, value & ~cache_bits);
    if (result) return CrWrite::done;
    return result.error() == Errno::ERESTART ? CrWrite::again : CrWrite::refused;
}

CrWrite write_cr0(Vcpu& v, u64 value) {
    if ((value ^ arch::read_cr0()) & ~arch::cr0::ts) return CrWrite::refused;
    set_task_switched(v, (value & arch::cr0::ts) != 0);
    return CrWrite::done;
}

} // namespace

void set_task_switched(Vcpu& v, bool on) {
    if (on) {
        v.pv.cr0 |= arch::cr0::ts;
        arch::set_ts();
    } else {
        v.pv.cr0 &= ~arch::cr0::ts;
        arch::clear_ts();
    }
}

u64 choosable_cr4(u64 value) {
    return value & (cr4::tsd | cr4::de | (arch::cpu_features.fsgsbase ? cr4::fsgsbase : 0));
}

u64 guest_cr4(const Vcpu& v) { return cr4_fixed() | v.pv.cr4; }

bool read_control_register(const Vcpu& v, unsigned number, u64& value) {
    switch (number) {
    case 0: value = (arch::read_cr0() & ~arch::cr0::ts) | (v.pv.cr0 & arch::cr0::ts); return true;
    case 2: value = v.info->arch.cr2; return true;
    case 3: value = v.cr3_kernel; return true;
    case 4: value = guest_cr4(v); return true;
    default: return false;
    }
}

CrWrite write_control_register(Vcpu& v, unsigned number, u64 value) {
    switch (number) {
    case 0: return write_cr0(v, value);
    case 2:
        v.pv.cr2 = value;
        v.info->arch.cr2 = value;
        return CrWrite::done;
    case 3: return write_cr3(v, value);
    case 4: write_cr4(v, value); return CrWrite::done;
    default: return CrWrite::refused;
    }
}

} // namespace streak::pv
