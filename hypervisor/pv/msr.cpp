// SPDX-License-Identifier: GPL-2.0-only
#include "pv/msr.hpp"

#include "arch/msr.hpp"
#include "arch/segment.hpp"
#include "pv/hypercall_page.hpp"

// Which model-specific registers a guest may see (Intel SDM 4, AMD APM 2 appendix A). Everything not named
// here is #GP: what the CPUID leaves hide has no registers either. Nothing of the machine is changed by a
// guest.

namespace streak::pv {

namespace {

namespace msr = arch::msr;
using arch::CpuVendor;

constexpr u32 platform_id = 0x17, feature_control = 0x3a, platform_info = 0xce, misc_features_enables = 0x140;
constexpr u32 amd_event_select0 = 0xc0010000, amd_counter3 = 0xc0010007;
constexpr u32 amd_hwcr = 0xc0010015, amd_int_pending = 0xc0010055, amd_de_cfg = 0xc0011029;

constexpr u64 feature_control_locked = 1;
constexpr u64 de_cfg_lfence_serialises = 1u << 1;
constexpr u64 apic_default_base = 0xfee00000, apic_boot_cpu = 1u << 8, apic_enabled = 1u << 11;

/// Machine checks are the hypervisor's; guests see two quiet banks.
constexpr u32 bank_count = 2, registers_per_bank = 4;
constexpr u64 bank_control_all = ~0ull;

bool is_intel() { return arch::cpu_features.vendor == CpuVendor::intel; }
bool is_amd() { return arch::cpu_features.vendor == CpuVendor::amd; }

bool is_bank_register(u32 index) { return index - msr::mc0_ctl < bank_count * registers_per_bank; }

bool is_amd_counter(u32 index) { return index >= amd_event_select0 && index <= amd_counter3; }

u64 guest_efer() {
    namespace efer = arch::efer;
    return arch::read_msr(msr::efer) & (efer::sce | efer::lme | efer::lma | efer::nxe);
}

u64 guest_apic_base(const Vcpu& v) {
    return apic_default_base | apic_enabled | (v.id == VcpuId(0) ? apic_boot_cpu : 0);
}

/// No performance monitoring, no MONITOR (Intel SDM 4, IA32_MISC_ENABLE).
u64 guest_misc_enable(u64 host) {
    constexpr u64 monitoring = 1u << 7, bts_unavailable = 1u << 11, pebs_unavailable = 1u << 12, monitor = 1u << 18;
    return (host & ~(monitoring | monitor)) | bts_unavailable | pebs_unavailable;
}

bool read_intel(u32 index, u64& value) {
    switch (index) {
    case platform_id: return arch::read_msr_safe(index, value);
    case feature_control: value = feature_control_locked; return true;
    case platform_info:
    case misc_features_enables: value = 0; return true;
    case msr::misc_enable:
        if (!arch::read_msr_safe(index, value)) return false;
        value = guest_misc_enable(value);
        return true;
    default: return false;
    }
}

bool read_amd(u32 index, u64& value) {
    if (is_amd_counter(index)) {
        value = 0;
        return true;
    }
    switch (index) {
    case amd_hwcr:
    case amd_int_pending: value = 0; return true;
    case amd_de_cfg: value = de_cfg_lfence_serialises; return true;
    default: return false;
    }
}

bool write_intel(u32 index, u64 value) {
    switch (index) {
    case msr::misc_enable: return true;
    case misc_features_enables: return value == 0;
    default: return false;
    }
}

bool write_amd(u32 index) {
    return is_amd_counter(index) || index == amd_hwcr || index == amd_de_cfg || index == amd_int_pending;
}

/// Kernel mode: its own GS base is the active one, the user's waits in PvState.
bool write_base(Vcpu& v, u32 index, u64 value) {
    if (!arch::is_canonical(value)) return false;
    if (index == msr::fs_base) arch::write_fs_base(value);
    else if (index == msr::gs_base) arch::write_guest_gs_base(value);
    else v.pv.gs_base_user = value;
    return true;
}

bool write_tsc_aux(Vcpu& v, u64 value) {
    if (!arch::cpu_features.rdtscp || (value >> 32) != 0) return false;
    v.pv.tsc_aux = value;
    arch::write_msr(msr::tsc_aux, value);
    return true;
}

} // namespace

bool read_guest_msr(Vcpu& v, u32 index, u64& value) {
    switch (index) {
    case msr::fs_base: value = arch::read_fs_base(); return true;
    case msr::gs_base: value = arch::read_guest_gs_base(); return true;
    case msr::kernel_gs_base: value = v.pv.gs_base_user; return true;
    case msr::tsc_aux: value = v.pv.tsc_aux; return arch::cpu_features.rdtscp;
    case msr::tsc: value = arch::rdtsc(); return true;
    case msr::efer: value = guest_efer(); return true;
    case msr::pat: value = arch::pat_value; return true;
    case msr::apic_base: value = guest_apic_base(v); return true;
    case msr::ucode_rev: return arch::read_msr_safe(index, value);
    case msr::mcg_cap: value = bank_count; return true;
    case msr::mcg_status:
    case msr::debug_ctl: value = 0; return true;
    default: break;
    }
    if (is_bank_register(index)) {
        value = index % registers_per_bank == 0 ? bank_control_all : 0;
        return true;
    }
    return (is_intel() && read_intel(index, value)) || (is_amd() && read_amd(index, value));
}

bool write_guest_msr(Vcpu& v, u32 index, u64 value) {
    switch (index) {
    case msr::fs_base:
    case msr::gs_base:
    case msr::kernel_gs_base: return write_base(v, index, value);
    case msr::tsc_aux: return write_tsc_aux(v, value);
    case msr::efer: return value == guest_efer();
    case msr::pat: return value == arch::pat_value;
    case msr::apic_base: return value == guest_apic_base(v);
    case msr::ucode_rev: return true; // Intel: written before the revision is read
    case msr::mcg_status:
    case msr::debug_ctl: return value == 0;
    case hypercall_page_msr:
        // The page number in the low bits: there is one page.
        return value % page_size == 0 && fill_hypercall_page(*v.domain, to_mfn(Maddr(value)));
    default: break;
    }
    if (is_bank_register(index)) return index % registers_per_bank == 0 || value == 0;
    return (is_intel() && write_intel(index, value)) || (is_amd() && write_amd(index));
}

} // namespace streak::pv
