// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>

#include "cli/verb.hpp"

namespace streak::cli {

/// What `streak VERB --help` prints.
[[nodiscard]] std::string help_text(const Verb& verb, const Options& options);

} // namespace streak::cli
