// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

namespace streak::hv {

using base::last_error;

/// Opens `/dev/xen/NAME` for reading and writing, not inherited by other programs.
[[nodiscard]] base::Outcome<base::Fd> open_device(const std::string& name);

/// Why a device could not be opened, and what to do about it: "privcmd", "hypercall", "evtchn", "gntdev" or "gntalloc".
[[nodiscard]] base::Error device_error(const std::string& name, Errno code);

} // namespace streak::hv
