// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/modules/fuzz/operations.hpp"

namespace fuzz {

/// Makes `calls` of them on this vCPU.
void play(Player& player, u64 calls);
/// How often each operation was made and succeeded. An operation that should succeed now and then and never did is a failure.
void report();

} // namespace fuzz
