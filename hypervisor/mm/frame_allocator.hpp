// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <bit>

#include "lib/spinlock.hpp"
#include "mm/page.hpp"

// Buddy allocator over all RAM with one set of free lists per address-width zone, so that requests
// for DMA-able memory find low frames and ordinary ones leave them alone.

namespace streak::mm {

inline constexpr unsigned max_order = 18; ///< 1 GiB

/// The order of the smallest block that holds so many bytes.
[[nodiscard]] constexpr unsigned order_for(u64 bytes) {
    return std::bit_width((std::max<u64>(bytes, 1) - 1) >> page_shift);
}

/// What a domain owns. Lock order: a DomainPages lock is taken after the domain's page lock.
struct DomainPages {
    DomId id = invalid_domid;
    SpinLock lock;
    u32 first = no_frame;                     ///< list of owned frames through PageInfo::next/prev
    u64 total = 0;                            ///< frames charged to the domain
    u64 max = 0;                              ///< frames it may own
    u64 shared_heap = 0;                      ///< hypervisor frames shown to it
    class DirtyLog* log = nullptr;            ///< which of its pages were written (domain/log_dirty.hpp)
    u64 claim = 0;                            ///< frames promised by XENMEM_claim_pages and not yet allocated
    void (*emptied)(void* context) = nullptr; ///< told, with the lock held, when the last frame is freed
    void* context = nullptr;
};

/// Makes `pages` the account of its domain id (nullptr with `id`: removes it).
void register_account(DomId id, DomainPages* pages);
[[nodiscard]] DomainPages* account_of(DomId id);

/// 2^order frames of hypervisor memory, contiguous, uninitialised, below 2^address_bits; nullptr when none.
[[nodiscard]] PageInfo* alloc_frames(unsigned order, unsigned address_bits = 64);
void free_frames(PageInfo& first, unsigned order);

/// Hypervisor pages by pointer, zeroed.
[[nodiscard]] void* alloc_zeroed_pages(unsigned order);
void free_pages(void* memory, unsigned order);

/// 2^order contiguous zeroed frames charged to a domain, each with its allocation reference and type
/// none. ENOMEM: none free, or the domain's maximum would be passed.
[[nodiscard]] Result<PageInfo*> alloc_domain_frames(DomainPages& to, unsigned order, unsigned address_bits = 64);

/// Puts frames taken by alloc_frames on a domain's account (dom0 builder, exchange). `charge`: counts
/// against the maximum.
[[nodiscard]] Result<> assign_frames(DomainPages& to, PageInfo& first, unsigned order);

/// Takes a frame off its owner's list without freeing it: exclusive owner only (count == 1, no type references).
/// The account stays charged, so that what replaces the frame always fits, whatever other vCPUs allocate
/// meanwhile. Stale TLB entries may exist: flush before the frame is used again. EBUSY otherwise.
[[nodiscard]] Result<> steal_frame(DomainPages& from, PageInfo& page);

/// Puts frames on an account that is charged for them already (see steal_frame()).
void replace_frames(DomainPages& to, PageInfo& first, unsigned order);
/// The charge for stolen frames that nothing replaces.
void uncharge(DomainPages& account, u64 frames);

/// Frees a frame that steal_frame() took.
void free_stolen_frame(PageInfo& page);

/// Fills 2^order frames with zeroes.
void clear_frames(PageInfo& first, unsigned order);

/// Drops the allocation reference: the frame is freed once its last reference goes.
/// False when it was dropped already, or when the frame is the hypervisor's and only shown to the domain.
bool release_allocation(PageInfo& page);

/// Shows one page of hypervisor memory to `owner` (shared_info, grant frames …): writable by it, or
/// read-only; it is never freed by guest references.
void share_heap_page(void* memory, DomId owner, bool writable);
/// Does anybody map such a page? (nullptr: nobody)
[[nodiscard]] bool heap_page_in_use(const void* memory);
/// Ends the sharing; false while the guest still maps it.
[[nodiscard]] bool unshare_heap_page(void* memory);

/// Nothing more may be allocated for it; its claim is given back.
void close_account(DomainPages& account);

struct MemoryTotals {
    u64 total_frames, free_frames, claimed_frames;
};
[[nodiscard]] MemoryTotals memory_totals();

/// Frame claims (XENMEM_claim_pages). ENOMEM when not that many are free and unclaimed.
[[nodiscard]] Result<> set_claim(DomainPages& of, u64 frames);

} // namespace streak::mm
