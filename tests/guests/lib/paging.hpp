// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/hypercall.hpp"

namespace guest {

inline constexpr u64 pte_present = 0x001, pte_write = 0x002, pte_user = 0x004, pte_accessed = 0x020, pte_dirty = 0x040,
                     pte_pse = 0x080, pte_nx = 1ull << 63;
inline constexpr u64 pte_ro = pte_present | pte_user | pte_accessed;
inline constexpr u64 pte_rw = pte_ro | pte_write | pte_dirty;
inline constexpr u64 pte_frame_mask = 0x000ffffffffff000;

struct alignas(page_size) Page {
    u64 word[512];
};

/// A zeroed page of the boot image's pool, mapped writable. Pages are not given back.
Page* alloc_page();
/// `count` neighbouring pages in the virtual address space.
Page* alloc_pages(unsigned count);

/// Frames: pfn ↔ mfn through the start_info list and the M2P; addresses only inside the boot mapping.
u64 pfn_of(const void* address);
u64 mfn_of(const void* address);
void* address_of_mfn(u64 mfn);
u64 m2p(u64 mfn);
/// The guest's own list, writable after an exchange or balloon operation.
u64& p2m(u64 pfn);

/// Machine frame of the page table now loaded.
u64 root_mfn();
void set_root_mfn(u64 mfn);

/// The entry that maps `address` at `level` (1 to 4), read-only; nullptr when an upper level is absent.
const u64* entry_of(u64 address, int level = 1);
/// Machine address of an entry inside a table, as mmu_update wants it.
u64 machine_address(const u64* entry);

inline u64 pte(u64 mfn, u64 flags) { return mfn << 12 | flags; }

/// update_va_mapping of one page of this address space.
long update_va_mapping(u64 address, u64 entry, u64 flags = UVMF_INVLPG);
long remap(const void* page, u64 flags);
inline long make_readonly(const void* page) { return remap(page, pte_ro); }
inline long make_writable(const void* page) { return remap(page, pte_rw); }

long mmuext(unsigned command, u64 argument1 = 0, u64 argument2 = 0);
inline long pin(int level, const void* page) {
    return mmuext(MMUEXT_PIN_L1_TABLE + static_cast<unsigned>(level) - 1, mfn_of(page));
}
inline long unpin(const void* page) { return mmuext(MMUEXT_UNPIN_TABLE, mfn_of(page)); }
/// mmu_update NORMAL of one entry.
long set_entry(const u64* entry, u64 value, u64 command = MMU_NORMAL_PT_UPDATE);

/// Maps `mfn` at `address`, adding read-only table pages to the present address space where needed.
long map(u64 address, u64 mfn, u64 flags);

/// Called by the runtime.
void init_paging();

} // namespace guest
