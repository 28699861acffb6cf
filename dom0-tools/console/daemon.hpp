// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace streak::console {

/// The program streak-consoled. Exit status: 0 asked to end, 1 can't start, 2 wrong usage.
[[nodiscard]] int run_daemon(int argc, char** argv);

} // namespace streak::console
