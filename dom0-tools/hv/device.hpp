// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace streak::hv {

/// Opens a device of /dev/xen for reading and writing, not inherited by other programs. ENOENT: its module is missing.
[[nodiscard]] Result<base::Fd> open_device(const char* path);

/// Why a device could not be opened, and what to do about it: "privcmd", "evtchn", "gntdev" or "gntalloc".
[[nodiscard]] base::Error device_error(std::string_view device, Errno code);

/// `errno` of the system call that has just failed.
[[nodiscard]] std::unexpected<Errno> last_error();

} // namespace streak::hv
