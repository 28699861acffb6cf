// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/cpu.hpp"
#include "domain/domain.hpp"

namespace streak::pv {

/// What CPUID answers a guest's kernel: the processor's leaves without what a PV guest can't use or Streak
/// does not switch, and the hypervisor's leaves from 0x40000000 (xen/arch-x86/cpuid.h). Exact for the current
/// vCPU; for another one the size of its XSAVE area (leaf 0xd, ebx) is the caller's.
[[nodiscard]] arch::CpuidLeaf guest_cpuid(const Vcpu& v, u32 leaf, u32 subleaf);

/// The same without what the domain's own mask hides.
[[nodiscard]] arch::CpuidLeaf pv_cpuid(const Vcpu& v, u32 leaf, u32 subleaf);

/// Where CPUID shows a word of a FeatureMask.
struct FeatureWord {
    u32 leaf, subleaf;
    enum class Register : u8 { eax, ebx, ecx, edx } where;

    [[nodiscard]] u32& in(arch::CpuidLeaf& values) const {
        switch (where) {
        case Register::eax: return values.eax;
        case Register::ebx: return values.ebx;
        case Register::ecx: return values.ecx;
        default: return values.edx;
        }
    }
    /// Does the word stand in this leaf?
    [[nodiscard]] bool stands_in(u32 wanted_leaf, u32 wanted_subleaf) const {
        const bool has_subleaves = leaf == 7 || leaf == 0xd;
        return leaf == wanted_leaf && (!has_subleaves || subleaf == wanted_subleaf);
    }
};
extern const std::array<FeatureWord, std::tuple_size_v<FeatureMask>> feature_words;

/// Hides the features of a leaf that are not in the mask.
void mask_features(const FeatureMask& mask, u32 leaf, u32 subleaf, arch::CpuidLeaf& values);

} // namespace streak::pv
