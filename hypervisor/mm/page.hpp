// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <atomic>

#include "arch/layout.hpp"
#include "lib/errno.hpp"

// The record of one machine frame (docs/page-types.md).
//
// `count` holds the general references: one for being allocated to its owner, one for each
// page-table entry, grant mapping or hypervisor use. `type` says what the frame may be used as and
// how often it is. A frame is writable by a guest, or a page table, or a segment-descriptor page,
// never two of them at once; its type may only change while its type count is zero.

namespace streak::mm {

namespace count_bits {
inline constexpr u64 allocated = 1ull << 63;   ///< the owner holds its allocation reference
inline constexpr u64 shared_heap = 1ull << 62; ///< hypervisor memory shown to a guest: never freed by references
inline constexpr u64 mask = (1ull << 56) - 1;
} // namespace count_bits

enum class PageType : u8 { none = 0, l1 = 1, l2 = 2, l3 = 3, l4 = 4, segment_descriptor = 5, writable = 6 };

namespace type_bits {
inline constexpr unsigned type_shift = 60;
inline constexpr u64 type_mask = 0xfull << type_shift;
inline constexpr u64 pinned = 1ull << 59;    ///< the guest holds one type reference by a pin
inline constexpr u64 validated = 1ull << 58; ///< the contents obey the rules of the type
inline constexpr u64 partial = 1ull << 57;   ///< validation or its undoing stopped half-way, see PageInfo::progress
inline constexpr u64 count_mask = (1ull << 48) - 1;
[[nodiscard]] constexpr u64 of(PageType t) { return static_cast<u64>(t) << type_shift; }
[[nodiscard]] constexpr PageType type(u64 word) { return static_cast<PageType>(word >> type_shift); }
} // namespace type_bits

struct PageInfo {
    std::atomic<u64> count;
    std::atomic<u64> type;
    u32 next; ///< list links: frame numbers
    u32 prev;
    u16 owner;     ///< DomId; invalid_domid when free
    u16 progress;  ///< page tables: entries validated so far; linear-map count; free block: its order
    u32 tlb_stamp; ///< shoot-down clock when the type count fell to zero

    [[nodiscard]] DomId owner_id() const { return DomId(owner); }
};
static_assert(sizeof(PageInfo) == 32);

inline constexpr u32 no_frame = ~0u;

/// Frames the frame table covers; a frame number at or above has no PageInfo.
extern u64 frame_table_frames;

[[nodiscard]] inline PageInfo& page_of_unchecked(Mfn mfn) {
    return reinterpret_cast<PageInfo*>(arch::frame_table_base)[mfn.raw()];
}

/// Is `mfn` RAM with a PageInfo? (Device memory has none.)
[[nodiscard]] bool is_ram(Mfn mfn);

/// The record of a RAM frame, or nullptr.
[[nodiscard]] inline PageInfo* page_of(Mfn mfn) { return is_ram(mfn) ? &page_of_unchecked(mfn) : nullptr; }

[[nodiscard]] inline Mfn mfn_of(const PageInfo& page) {
    return Mfn(static_cast<u64>(&page - reinterpret_cast<const PageInfo*>(arch::frame_table_base)));
}

template <class T = void> [[nodiscard]] inline T* page_memory(const PageInfo& page) {
    return arch::direct_map<T>(to_maddr(mfn_of(page)));
}

/// Takes a general reference if `page` is allocated to `owner`.
[[nodiscard]] bool get_page(PageInfo& page, DomId owner);

/// Drops a general reference; the last one frees the frame (and its owner's account).
void put_page(PageInfo& page);

/// The M2P entry of a frame.
[[nodiscard]] inline u64& m2p(Mfn mfn) { return reinterpret_cast<u64*>(arch::m2p_base)[mfn.raw()]; }
inline constexpr u64 invalid_m2p_entry = ~0ull;

} // namespace streak::mm
