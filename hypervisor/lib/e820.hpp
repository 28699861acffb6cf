// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak {

/// An entry of a memory map as guests and boot loaders exchange it (ACPI 6, 15.1): 20 bytes, unaligned.
struct [[gnu::packed]] e820_entry {
    u64 addr;
    u64 size;
    u32 type;
};
static_assert(sizeof(e820_entry) == 20);

} // namespace streak
