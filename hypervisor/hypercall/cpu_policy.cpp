// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/cpu_policy.hpp"

#include "hypercall/call.hpp"
#include "pv/cpuid_mask.hpp"
#include "pv/guest_cpuid.hpp"

namespace streak::hypercall {

namespace {

constexpr u32 no_subleaf = XEN_CPUID_NO_SUBLEAF;

struct LeafRange {
    u32 leaf, subleaves; ///< 0: the leaf has none
};

/// All that a policy holds, in ascending order.
constexpr LeafRange ranges[] = {{0, 0},          {1, 0},          {2, 0},          {4, 4},          {5, 0},
                                {6, 0},          {7, 2},          {0xd, 10},       {0x40000000, 0}, {0x40000100, 0},
                                {0x80000000, 0}, {0x80000001, 0}, {0x80000002, 0}, {0x80000003, 0}, {0x80000004, 0},
                                {0x80000005, 0}, {0x80000006, 0}, {0x80000007, 0}, {0x80000008, 0}, {0x80000021, 0}};

template <class F> [[nodiscard]] Result<> for_each_leaf(F&& visit) {
    for (const LeafRange& r : ranges)
        for (u32 sub = 0; sub < std::max(r.subleaves, 1u); ++sub) TRY(visit(r.leaf, r.subleaves ? sub : no_subleaf));
    return {};
}

[[nodiscard]] arch::CpuidLeaf shown(u32 leaf, u32 subleaf) {
    // The hypervisor's own leaves are the same for everybody and not part of a policy.
    if (leaf >> 28 == 4) return {};
    return pv::guest_cpuid(current(), leaf, subleaf == no_subleaf ? 0 : subleaf);
}

/// Bits that follow the guest's own state, or that every guest has.
constexpr u32 always_ecx1 = pv::cpuid_mask::leaf1_ecx_osxsave | pv::cpuid_mask::leaf1_ecx_hypervisor;
constexpr u32 word_ecx1 = 1;

} // namespace

Result<> write_policy(const FeatureMask& features, u32& leaves, GuestHandle<xen_cpuid_leaf_t> to, u32& msrs,
                      GuestHandle<xen_msr_entry_t> msrs_to) {
    const u32 room = std::exchange(leaves, policy_leaves);
    if (msrs_to.is_null()) msrs = policy_msrs;
    else msrs = 0; // none differs between guests
    if (to.is_null()) return {};
    u32 n = 0;
    TRY(for_each_leaf([&](u32 leaf, u32 subleaf) -> Result<> {
        arch::CpuidLeaf c = shown(leaf, subleaf);
        pv::mask_features(features, leaf, subleaf, c);
        if (n == room) return fail(Errno::ENOBUFS);
        return to.write({leaf, subleaf, c.eax, c.ebx, c.ecx, c.edx}, n++);
    }));
    leaves = n;
    return {};
}

Result<FeatureMask> read_policy(u32 count, GuestHandle<xen_cpuid_leaf_t> from) {
    constexpr u32 most = 256; // tools may know leaves that Streak does not
    if (count > most) return fail(Errno::E2BIG);
    FeatureMask mask{};
    for (u32 i = 0; i < count; ++i) {
        TRY_ASSIGN(l, from.read(i));
        arch::CpuidLeaf values{l.a, l.b, l.c, l.d};
        const u32 subleaf = l.subleaf == no_subleaf ? 0 : l.subleaf;
        for (std::size_t w = 0; w < mask.size(); ++w)
            if (pv::feature_words[w].stands_in(l.leaf, subleaf)) mask[w] = pv::feature_words[w].in(values);
    }
    mask[word_ecx1] |= always_ecx1;
    return mask;
}

u32 host_features(u32 index) {
    if (index >= pv::feature_words.size()) return 0;
    const pv::FeatureWord& word = pv::feature_words[index];
    const u32 last = word.leaf >> 31 ? arch::cpu_features.max_extended_leaf : arch::cpu_features.max_leaf;
    if (word.leaf > last) return 0;
    arch::CpuidLeaf values = arch::cpuid(word.leaf, word.subleaf);
    return word.in(values);
}

u32 guest_features(u32 index) {
    if (index >= pv::feature_words.size()) return 0;
    const pv::FeatureWord& word = pv::feature_words[index];
    arch::CpuidLeaf values = pv::pv_cpuid(current(), word.leaf, word.subleaf);
    return word.in(values);
}

} // namespace streak::hypercall
