// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::mm {

/// May a guest have this descriptor in a GDT or LDT? Code and data segments may be anything, but get DPL 3
/// (a present one with less could not be loaded); present system descriptors are refused: a call gate
/// could lead into the hypervisor. (Intel SDM 3A 3.4.5, 5.8.3)
[[nodiscard]] constexpr bool fix_descriptor(u64& descriptor) {
    constexpr u64 present = 1ull << 47, dpl = 3ull << 45, segment = 1ull << 44, type = 0xfull << 40;
    if (!(descriptor & present)) return true;
    if (descriptor & segment) {
        descriptor |= dpl;
        return true;
    }
    // Type 0 is the upper half of a 16-byte descriptor, or reserved: it can't be loaded.
    return (descriptor & type) == 0;
}

} // namespace streak::mm
