// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "builder/kernel.hpp"
#include "loader/pv_layout.hpp"

namespace streak::builder {

/// Where everything of a guest's start goes.
struct StartPlan {
    loader::PvLayout layout;
    /// Page tables of the builder's own, in memory that the guest finds free, through which an initial RAM disk outside
    /// of the start mapping is written. Zero again afterwards.
    loader::Region scratch;
};

/// Errors: not_enough_memory (pages needed, pages there), address_range.
[[nodiscard]] loader::LoadResult<StartPlan> plan_start(const loader::PvStart& kernel, std::uint64_t pages,
                                                       std::uint64_t initrd_bytes);

/// Plans a request, and checks what else can be told before anything is done. Errors: invalid.
[[nodiscard]] base::Outcome<StartPlan> plan_request(const Request& request);

} // namespace streak::builder
