// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/panic_record.hpp"
#include "mm/memory_map.hpp"

// From the firmware's memory map to the frame allocator. Runs once, before any guest.

namespace streak::mm {

/// Ranges of RAM that hold something when Streak starts (image, modules, boot information).
void reserve_boot_range(Maddr start, u64 bytes);

/// Builds the hypervisor's page tables, the frame table and the M2P for `map`, switches to them and gives
/// every unreserved frame to the allocator. Panics with the reason when RAM does not suffice.
void init_memory(MemoryMap map);

/// Memory for the log of a panic, which keeps what an earlier boot left there; null: what the loader put there is in the way.
[[nodiscard]] PanicRecord* panic_record();

/// A page of RAM below 640 KiB that nothing uses (the AP trampoline's).
[[nodiscard]] Maddr low_free_page();

/// A boot-time range (module, init segment) becomes ordinary free memory.
void release_boot_range(Maddr start, u64 bytes);

/// For the allocator's start: frames join the free lists.
void add_free_range(Mfn first, u64 frames);

/// A domain's frame without references goes back (called by put_page alone).
void free_domain_page(PageInfo& page);

} // namespace streak::mm
