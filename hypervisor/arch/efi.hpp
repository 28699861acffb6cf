// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <optional>

#include "lib/ids.hpp"
#include "lib/types.hpp"

// What dom0 wants to know of UEFI firmware (UEFI 2.10, 4.3): where the tables are. Runtime services are not
// called.

namespace streak::efi {

struct Info {
    u32 revision; ///< of the specification
    u32 firmware_revision;
    std::array<u16, 100> vendor; ///< UCS-2, cut if need be, ends in zero
    Maddr config_table;
    u32 config_entries;
};

/// Reads the system table; once, at boot, when the boot loader passed one.
void note_system_table(Maddr table);
/// Nothing when the machine booted by BIOS, or its table made no sense.
[[nodiscard]] const std::optional<Info>& info();

} // namespace streak::efi
