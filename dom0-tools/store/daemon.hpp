// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "base/error.hpp"

namespace streak::store {

struct DaemonOptions {
    /// For tests, without a hypervisor: no rings.
    bool sockets_only = false;
};

/// streak-stored: serves until SIGTERM or SIGINT.
[[nodiscard]] base::Outcome<> run_daemon(const DaemonOptions& options);

} // namespace streak::store
