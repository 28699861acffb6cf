// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace streak::pic {

/// Moves the two 8259s' vectors out of the exceptions' way and masks all of their lines for good: the I/O APIC
/// takes over.
void disable();

} // namespace streak::pic
