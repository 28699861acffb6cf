// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "lib/types.hpp"

// Page-table entries as the processor reads them (Intel SDM 3A 4.5, 4-level paging).

namespace streak::mm::pte {

inline constexpr unsigned entries = 512;

inline constexpr u64 present = 1ull << 0, writable = 1ull << 1, user = 1ull << 2, write_through = 1ull << 3,
                     cache_disable = 1ull << 4, accessed = 1ull << 5, dirty = 1ull << 6, global = 1ull << 8,
                     available = 7ull << 9, no_execute = 1ull << 63;
inline constexpr u64 pat = 1ull << 7;   ///< level 1: third cache-attribute bit
inline constexpr u64 large = 1ull << 7; ///< levels 2 and 3: maps a superpage
inline constexpr u64 address_mask = 0x000ffffffffff000;

inline constexpr u64 cache_attributes = pat | write_through | cache_disable;
inline constexpr u64 accessed_dirty = accessed | dirty;

/// What no guest may set in a present entry of levels 2 to 4.
inline constexpr u64 upper_forbidden = write_through | cache_disable | large | global;

[[nodiscard]] constexpr Mfn frame(u64 entry) { return Mfn((entry & address_mask) >> page_shift); }
[[nodiscard]] constexpr u64 make(Mfn mfn, u64 flags) { return (mfn.raw() << page_shift) | flags; }
[[nodiscard]] constexpr bool same_frame(u64 a, u64 b) { return ((a ^ b) & address_mask) == 0; }

/// Index into a table of `level` (1..4) for a virtual address.
[[nodiscard]] constexpr unsigned index(u64 va, unsigned level) {
    return static_cast<unsigned>(va >> (page_shift + 9 * (level - 1))) & (entries - 1);
}

} // namespace streak::mm::pte
