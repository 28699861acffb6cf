// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/context.hpp"

namespace streak::cli {

/// `streak top --hypercalls`: which hypercalls are made, again and again or once.
[[nodiscard]] Outcome<> top_hypercalls(Context& context, bool once, unsigned seconds);

} // namespace streak::cli
