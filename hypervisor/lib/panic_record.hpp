// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <array>

#include "lib/types.hpp"

namespace streak {

/// The log of a machine that panicked, in memory that a warm reset leaves as it is. The next boot finds it at the same
/// place, unless the loader used that memory; the checksum tells. The control domain may read its frames, as DOMID_XEN's.
struct PanicRecord {
    static constexpr u64 mark_of_all = 0x31474f4c4b525453; ///< "STRKLOG1"
    static constexpr u64 page_count = 17;                  ///< the log's ring is 16 pages

    u64 mark;
    u64 checksum; ///< of the text
    u32 boots;    ///< since the panic
    u32 bytes;    ///< of the text
    std::array<char, page_count * 4096 - 24> text;

    /// FNV-1a.
    [[nodiscard]] u64 sum() const {
        u64 sum = 0xcbf29ce484222325;
        for (u32 i = 0; i < std::min<std::size_t>(bytes, text.size()); ++i)
            sum = (sum ^ static_cast<u8>(text[i])) * 0x100000001b3;
        return sum;
    }
    [[nodiscard]] bool valid() const { return mark == mark_of_all && bytes <= text.size() && checksum == sum(); }

    /// Where it lies. Firmware and loaders take memory from both ends of what is below 4 GiB.
    /// `top`: the end of the highest RAM there.
    [[nodiscard]] static constexpr u64 place(u64 top) { return top / 4 * 3 & ~((16ull << 20) - 1); }
};
static_assert(sizeof(PanicRecord) == PanicRecord::page_count * 4096);

} // namespace streak
