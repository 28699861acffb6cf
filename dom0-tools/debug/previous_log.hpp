// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>

#include "base/error.hpp"
#include "hv/port.hpp"

namespace streak::debug {

struct PreviousLog {
    std::string text;
    unsigned boots = 0; ///< since then; 1: the machine has been started once
};

/// The hypervisor's log up to its last panic (lib/panic_record.hpp). not_found: there is none in memory, or there was a cold start, or the boot
/// loader has used that memory.
[[nodiscard]] base::Outcome<PreviousLog> previous_log(hv::Port& port);

} // namespace streak::debug
