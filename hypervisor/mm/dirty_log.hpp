// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "mm/page.hpp"

// Which pages of a domain were written, by guest frame number, for XEN_DOMCTL_shadow_op
// (docs/decisions/0011-a-tlb-in-memory.md).

namespace streak::mm {

/// Two bitmaps in zeroed memory, changed on any CPU without a lock. A page that others may write unseen is *kept*: each
/// round tells of it.
class DirtyLog {
public:
    static constexpr u64 bits = 64;
    [[nodiscard]] static constexpr u64 words_for(u64 pfns) { return (pfns + bits - 1) / bits; }
    [[nodiscard]] static constexpr u64 bytes_for(u64 pfns) { return 2 * sizeof(u64) * words_for(pfns); }

    DirtyLog(u64* memory, u64 pfns) : dirty_(memory), kept_(memory + words_for(pfns)), pfns_(pfns) {}

    [[nodiscard]] u64* memory() const { return dirty_; }
    [[nodiscard]] u64 pfns() const { return pfns_; }
    [[nodiscard]] bool is_dirty(u64 pfn) const { return pfn < pfns_ && (dirty_[pfn / bits] >> (pfn % bits) & 1); }
    void mark(u64 pfn) {
        if (pfn < pfns_ && set(dirty_, pfn)) __atomic_fetch_add(&dirty_count, 1, __ATOMIC_RELAXED);
    }
    void keep(u64 pfn) {
        if (pfn < pfns_) (void)set(kept_, pfn);
    }

    /// 64 pages; `clear` begins their next round.
    [[nodiscard]] u64 read(u64 word, bool clear) {
        u64& dirty = dirty_[word];
        return kept_[word] | (clear ? __atomic_exchange_n(&dirty, 0, __ATOMIC_SEQ_CST) : dirty);
    }
    /// What was read could not be told.
    void put_back(u64 word, u64 value) { __atomic_fetch_or(&dirty_[word], value, __ATOMIC_SEQ_CST); }

    u32 fault_count = 0, dirty_count = 0; ///< since the round began
    /// So many were told; others have come meanwhile.
    void begin_round(u32 faults, u32 pages) {
        __atomic_fetch_sub(&fault_count, faults, __ATOMIC_RELAXED);
        __atomic_fetch_sub(&dirty_count, pages, __ATOMIC_RELAXED);
    }

private:
    static bool set(u64* map, u64 pfn) {
        const u64 bit = 1ull << (pfn % bits);
        return !(map[pfn / bits] & bit) && !(__atomic_fetch_or(&map[pfn / bits], bit, __ATOMIC_SEQ_CST) & bit);
    }

    u64* dirty_;
    u64* kept_;
    u64 pfns_;
};

extern u32 dirty_logs; ///< domains whose pages are logged

/// The page was written, or is another one of its guest now. Not in need of a lock; its owner stays while this runs.
void note_write_logged(const PageInfo& page);
inline void note_write(const PageInfo& page) {
    if (unlikely(dirty_logs != 0)) note_write_logged(page);
}
/// The M2P entry of a domain's frame.
inline void set_m2p(Mfn mfn, u64 pfn) {
    m2p(mfn) = pfn;
    note_write(page_of_unchecked(mfn));
}
/// Another domain may write the page from now on.
void note_writer(const PageInfo& page);

} // namespace streak::mm
