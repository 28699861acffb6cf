// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "mm/host_page_table.hpp"

// Only for mm/boot_memory.cpp: making the first tables.

namespace streak::mm {

using TableAllocator = Maddr (*)();

/// Starts an empty top table; `allocator` gives frames for tables until use_heap_for_tables().
void start_tables(TableAllocator allocator);
void use_heap_for_tables();

/// Puts the tables made so far into arch::boot_l4, which this CPU uses, and forgets all older translations.
void install_tables();

/// Creates the L3 table of `va`'s L4 slot.
void prepare_slot(u64 va);

/// Maps with the largest pages that fit.
void map_range(u64 va, Maddr address, u64 bytes, Access access, bool gigabyte_pages);

/// Is this stretch in the direct map? (boot_memory.cpp)
[[nodiscard]] bool direct_map_covers(Maddr address, u64 bytes);

} // namespace streak::mm
