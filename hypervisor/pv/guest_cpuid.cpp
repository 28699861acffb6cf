// SPDX-License-Identifier: GPL-2.0-only
#include "pv/guest_cpuid.hpp"

#include "arch/clock.hpp"
#include "arch/cr.hpp"
#include "pv/control_registers.hpp"
#include "pv/cpuid_mask.hpp"
#include "pv/msr.hpp"

namespace streak::pv {

namespace {

namespace mask = cpuid_mask;
using arch::CpuFeatures;
using arch::CpuidLeaf;
using arch::CpuVendor;

constexpr u32 last_basic_leaf = 0xd, last_extended_leaf = 0x80000021;
constexpr u32 first_extended_leaf = 0x80000000;
constexpr u32 hypervisor_leaves_end = 0x50000000;
constexpr u32 xen_version = 4 << 16 | 17;
constexpr u64 avx512_state = 0xe0;

const CpuFeatures& cpu() { return arch::cpu_features; }
bool is_amd() { return cpu().vendor == CpuVendor::amd; }
bool has_avx512() { return (cpu().xcr0 & avx512_state) == avx512_state; }

u32 with_avx512(u32 plain, u32 avx512) { return has_avx512() ? plain | avx512 : plain; }

CpuidLeaf features(const Vcpu& v, CpuidLeaf host) {
    constexpr u32 line_size_and_brand = 0xffff; // no APIC id, no siblings
    CpuidLeaf out{host.eax, host.ebx & line_size_and_brand, host.ecx & mask::leaf1_ecx, host.edx & mask::leaf1_edx};
    if (!cpu().xsave) out.ecx &= ~mask::leaf1_ecx_xsave;
    if (!(guest_cr4(v) & arch::cr4::osxsave)) out.ecx &= ~mask::leaf1_ecx_osxsave;
    out.ecx |= mask::leaf1_ecx_hypervisor;
    if (is_amd()) // 64-bit AMD kernels have no use for SYSENTER
        out.edx &= ~mask::leaf1_edx_sep;
    return out;
}

/// Each vCPU is a package of its own.
CpuidLeaf cache_parameters(CpuidLeaf host) {
    constexpr u32 cores_and_sharing = 0xffffc000;
    host.eax &= ~cores_and_sharing;
    return host;
}

CpuidLeaf extended_features(u32 subleaf, CpuidLeaf host) {
    if (subleaf == 0)
        return {std::min(host.eax, 1u), host.ebx & with_avx512(mask::leaf7_ebx, mask::leaf7_ebx_avx512),
                host.ecx & with_avx512(mask::leaf7_ecx, mask::leaf7_ecx_avx512),
                host.edx & with_avx512(mask::leaf7_edx, mask::leaf7_edx_avx512)};
    if (subleaf == 1) return {host.eax & mask::leaf7_1_eax, 0, 0, 0};
    return {};
}

CpuidLeaf xsave_state(u32 subleaf, CpuidLeaf host) {
    if (!cpu().xsave) return {};
    const u32 low = static_cast<u32>(cpu().xcr0), high = static_cast<u32>(cpu().xcr0 >> 32);
    if (subleaf == 0) return {low, host.ebx, cpu().xsave_bytes, high};
    if (subleaf == 1) return {host.eax & mask::leafd_1_eax, host.ebx, 0, 0};
    if (subleaf < 63 && ((cpu().xcr0 >> subleaf) & 1)) return host;
    return {};
}

CpuidLeaf basic_leaf(const Vcpu& v, u32 leaf, u32 subleaf, CpuidLeaf host) {
    switch (leaf) {
    case 0: host.eax = std::min(host.eax, last_basic_leaf); return host;
    case 1: return features(v, host);
    case 2: return host;
    case 4: return cache_parameters(host);
    case 7: return extended_features(subleaf, host);
    case 0xd: return xsave_state(subleaf, host);
    default: return {};
    }
}

CpuidLeaf amd_features(CpuidLeaf host) {
    CpuidLeaf out{host.eax, host.ebx, host.ecx & mask::leaf80000001_ecx, host.edx & mask::leaf80000001_edx};
    out.edx |= mask::leaf80000001_edx_syscall;
    if (!cpu().rdtscp) out.edx &= ~mask::leaf80000001_edx_rdtscp;
    if (is_amd()) out.edx |= host.edx & mask::leaf1_edx & mask::amd_common_edx;
    return out;
}

CpuidLeaf extended_leaf(u32 leaf, CpuidLeaf host) {
    switch (leaf) {
    case 0x80000000: host.eax = std::min(host.eax, last_extended_leaf); return host;
    case 0x80000001: return amd_features(host);
    case 0x80000002 ... 0x80000006: return host;
    case 0x80000007: return {0, 0, 0, host.edx & mask::leaf80000007_edx_invariant_tsc};
    case 0x80000008: return {host.eax & 0xffff, host.ebx & mask::leaf80000008_ebx, 0, 0};
    case 0x80000021: return {host.eax & mask::leaf80000021_eax, 0, 0, 0};
    default: return {};
    }
}

/// Time: the TSC is never emulated by scaling, so guest and host frequency are one.
CpuidLeaf time_leaf(const Domain& d, u32 subleaf) {
    constexpr u32 reliable = 1u << 1, has_rdtscp = 1u << 2;
    const u32 khz = static_cast<u32>(clock::tsc_khz());
    const clock::Scale scale = clock::tsc_scale();
    switch (subleaf) {
    case 0: return {(clock::tsc_is_stable() ? reliable : 0) | (cpu().rdtscp ? has_rdtscp : 0), d.tsc_mode, khz, 0};
    case 1: return {0, 0, scale.mul, static_cast<u32>(static_cast<i32>(scale.shift))};
    case 2: return {khz, 0, 0, 0};
    default: return {};
    }
}

CpuidLeaf hypervisor_leaf(const Vcpu& v, u32 index, u32 subleaf) {
    switch (index) {
    case 0:
        return {XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES), XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX,
                XEN_CPUID_SIGNATURE_EDX};
    case 1: return {xen_version, 0, 0, 0};
    case 2: return {1, hypercall_page_msr, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0};
    case 3: return time_leaf(*v.domain, subleaf);
    case 5: return subleaf == 0 ? CpuidLeaf{0, cpu().physical_address_bits, 0, 0} : CpuidLeaf{};
    default: return {};
    }
}

} // namespace

using enum FeatureWord::Register;
constinit const std::array<FeatureWord, std::tuple_size_v<FeatureMask>> feature_words{{{1, 0, edx},
                                                                                       {1, 0, ecx},
                                                                                       {0x80000001, 0, edx},
                                                                                       {0x80000001, 0, ecx},
                                                                                       {0xd, 1, eax},
                                                                                       {7, 0, ebx},
                                                                                       {7, 0, ecx},
                                                                                       {0x80000007, 0, edx},
                                                                                       {0x80000008, 0, ebx},
                                                                                       {7, 0, edx},
                                                                                       {7, 1, eax},
                                                                                       {0x80000021, 0, eax}}};

void mask_features(const FeatureMask& mask, u32 leaf, u32 subleaf, CpuidLeaf& values) {
    for (std::size_t i = 0; i < mask.size(); ++i)
        if (feature_words[i].stands_in(leaf, subleaf)) feature_words[i].in(values) &= mask[i];
}

CpuidLeaf guest_cpuid(const Vcpu& v, u32 leaf, u32 subleaf) {
    CpuidLeaf values = pv_cpuid(v, leaf, subleaf);
    mask_features(v.domain->features, leaf, subleaf, values);
    return values;
}

CpuidLeaf pv_cpuid(const Vcpu& v, u32 leaf, u32 subleaf) {
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf < hypervisor_leaves_end)
        return hypervisor_leaf(v, leaf - XEN_CPUID_FIRST_LEAF, subleaf);
    if (leaf >= first_extended_leaf)
        return leaf <= std::min(cpu().max_extended_leaf, last_extended_leaf)
                   ? extended_leaf(leaf, arch::cpuid(leaf, subleaf))
                   : CpuidLeaf{};
    // Beyond the last basic leaf there is nothing (Intel would repeat the last one).
    if (leaf > std::min(cpu().max_leaf, last_basic_leaf)) return {};
    return basic_leaf(v, leaf, subleaf, arch::cpuid(leaf, subleaf));
}

} // namespace streak::pv
