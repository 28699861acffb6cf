// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/context.hpp"
#include "lib/ids.hpp"

namespace streak::cli {

/// The number of a running domain, which streakd knows by name or UUID; a number goes without streakd.
/// conflict: it is not running.
[[nodiscard]] Outcome<DomId> domain_id(Context& context, const std::string& reference);

} // namespace streak::cli
