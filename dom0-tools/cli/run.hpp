// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <vector>

namespace streak::cli {

/// The program `streak`: finds the verb, runs it, reports what failed. The exit status (docs/cli.md).
[[nodiscard]] int run(std::vector<std::string> words);

} // namespace streak::cli
