// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/mailbox.hpp"

namespace fuzz {

/// Looks after its own until it is told to stop: nothing of it may change by what the fuzzer does.
void live_next_door(guest::Mailbox& box);

} // namespace fuzz
