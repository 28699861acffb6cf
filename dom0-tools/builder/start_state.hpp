// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "builder/start_plan.hpp"

namespace streak::builder {

/// What a PV kernel finds at its entry point (xen/xen.h, "startofday").

/// @param frames machine frame of each page of the guest
/// @param shared_info its frame
[[nodiscard]] start_info_t make_start_info(const Request& request, const loader::PvLayout& layout,
                                           std::span<const std::uint64_t> frames, Mfn shared_info);

/// vCPU 0: flat segments in ring 3, the stack, start_info in rsi, events masked by shared_info.
[[nodiscard]] vcpu_guest_context_t make_context(const loader::PvLayout& layout, Mfn root);

/// A page for dom0, as entry of a grant table of version 1.
[[nodiscard]] grant_entry_v1_t grant_to_dom0(Mfn frame);

} // namespace streak::builder
