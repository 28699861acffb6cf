// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/errno.hpp"
#include "lib/ids.hpp"
#include "lib/types.hpp"

// The I/O APICs' redirection tables, by global system interrupt (82093AA; ACPI 5.2.12.3).

namespace streak::ioapic {

/// Makes an I/O APIC known and masks its lines; lines that another one has are ignored.
void add(u8 id, Maddr address, volatile u32* registers, u32 gsi_base);

/// Highest line + 1.
[[nodiscard]] u32 line_count();
[[nodiscard]] bool has_line(u32 gsi);

/// Redirection of one line to one CPU (physical destination, fixed delivery).
struct Entry {
    Vector vector;
    ApicId target;
    bool level;
    bool active_low;
    bool masked;
};
void write(u32 gsi, const Entry& entry);
/// Only the mask bit. Waits until the write has reached the device.
void set_mask(u32 gsi, bool masked);

/// Raw access for PHYSDEVOP_apic_read: what dom0 thinks is the chip at `base`. EINVAL: there is none.
[[nodiscard]] Result<u32> read_register(Maddr base, u8 reg);

} // namespace streak::ioapic
