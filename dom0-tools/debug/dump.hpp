// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"
#include "hv/hypervisor.hpp"

namespace streak::debug {

enum class CoreFormat : std::uint8_t { gdb, crash };

struct Dumped {
    std::uint64_t pages = 0, vcpus = 0;
    std::uint64_t skipped = 0; ///< mapped by the guest, but not its own: left out
    bool complete = true;      ///< false: its page tables have no end, or couldn't be read
};

/// Writes all that a guest has mapped to a new file, with its registers; the guest is paused meanwhile. The file is there when all of
/// it is, readable by its owner alone; pages of zeros take no room. `progress` is told pages written and pages in all.
/// conflict: the file exists, and `replace` isn't set; not_found: no such domain.
[[nodiscard]] base::Outcome<Dumped> dump(hv::Hypervisor& hypervisor, DomId domain, CoreFormat format,
                                         const std::string& path, bool replace,
                                         const std::function<void(std::uint64_t done, std::uint64_t all)>& progress);

} // namespace streak::debug
