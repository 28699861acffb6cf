// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <initializer_list>
#include <span>

#include "base/error.hpp"
#include "lib/function_ref.hpp"

namespace streak::builder {

/// How a confined process ended.
enum class Ending : std::uint8_t {
    finished, ///< the work returned
    killed,   ///< it crashed, or made a system call
    timeout,  ///< it used up its CPU time
};

/// Runs `work` in a copy of this process that has no rights: no descriptors, nobody's user and groups, no new
/// privileges, no system call but the one that ends it, no memory but that of files, its stack and `kept`: nothing of what
/// this process knows. Results travel in memory that was shared before. Waits for the end. Errors: resources (no
/// process), internal (it could not be confined).
using Memory = std::span<const std::byte>;
[[nodiscard]] base::Outcome<Ending> run_confined(FunctionRef<void()> work, unsigned cpu_seconds,
                                                 std::initializer_list<Memory> kept = {});

} // namespace streak::builder
