// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/abi.hpp"
#include "lib/types.hpp"

namespace streak {

/// Scheduling and time state of a vCPU. (Placeholder layout: owned by the scheduler part.)
struct VcpuSched {
};

} // namespace streak
