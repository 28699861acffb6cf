// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::cmos {

/// The real-time clock's date and time (taken as UTC), in seconds since 1970. 0 when it makes no sense.
[[nodiscard]] u64 read_seconds();

/// One byte of CMOS memory.
[[nodiscard]] u8 read(u8 index);

} // namespace streak::cmos
