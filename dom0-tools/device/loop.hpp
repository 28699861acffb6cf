// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "device/access.hpp"

namespace streak::device {

/// A free loop device for an open file; it ends when nobody holds it any more. Direct I/O where the file can.
[[nodiscard]] base::Outcome<OpenDisk> make_loop(const base::Fd& file, const std::string& path, bool read_only,
                                                const std::string& owner);

/// Loop devices that make_loop() made: their mark is in the device itself, so that a later process knows them.
[[nodiscard]] std::vector<Host::Loop> our_loops();

} // namespace streak::device
