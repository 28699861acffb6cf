// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "mm/guest_handle.hpp"

namespace streak::hypercall {

inline constexpr u32 policy_leaves = 48, policy_msrs = 2; ///< room that tools have to give

/// What CPUID shows a PV guest with these features, leaf by leaf. Null pointers: the counts become the room needed.
/// ENOBUFS: there is not enough of it.
[[nodiscard]] Result<> write_policy(const FeatureMask& features, u32& leaves, mm::GuestHandle<xen_cpuid_leaf_t> to,
                                    u32& msrs, mm::GuestHandle<xen_msr_entry_t> msrs_to);

/// The features that a list of leaves names. E2BIG: more leaves than a policy has.
[[nodiscard]] Result<FeatureMask> read_policy(u32 count, mm::GuestHandle<xen_cpuid_leaf_t> from);

/// Word `index` of the featureset (xen/arch-x86/cpufeatureset.h) as the processor has it, or as PV guests may.
[[nodiscard]] u32 host_features(u32 index);
[[nodiscard]] u32 guest_features(u32 index);

} // namespace streak::hypercall
