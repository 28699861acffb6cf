// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/lib/paging.hpp"

#include "tests/guests/lib/verdict.hpp"

namespace guest {

namespace {

constexpr unsigned pool_pages = 192;
constinit Page pool[pool_pages] = {};
constinit unsigned pool_used = 0;
constinit u64 root = 0;

} // namespace

Page* alloc_pages(unsigned count) {
    if (pool_used + count > pool_pages) error("the page pool of the guest is empty");
    Page* first = &pool[pool_used];
    pool_used += count;
    return first;
}

Page* alloc_page() { return alloc_pages(1); }

u64 pfn_of(const void* address) { return (std::bit_cast<u64>(address) - virtual_base) >> 12; }

u64& p2m(u64 pfn) { return reinterpret_cast<u64*>(boot_info().mfn_list)[pfn]; }

u64 mfn_of(const void* address) { return p2m(pfn_of(address)); }

u64 m2p(u64 mfn) { return machine_to_phys_mapping[mfn]; }

void* address_of_mfn(u64 mfn) { return reinterpret_cast<void*>(virtual_base + (m2p(mfn) << 12)); }

u64 root_mfn() { return root; }

void set_root_mfn(u64 mfn) { root = mfn; }

const u64* entry_of(u64 address, int level) {
    u64 table = root;
    for (int at = 4;; --at) {
        const u64* entry = static_cast<u64*>(address_of_mfn(table)) + (address >> (3 + 9 * at) & 511);
        if (at == level) return entry;
        if ((*entry & pte_present) == 0) return nullptr;
        table = (*entry & pte_frame_mask) >> 12;
    }
}

u64 machine_address(const u64* entry) { return mfn_of(entry) << 12 | (std::bit_cast<u64>(entry) & (page_size - 1)); }

long update_va_mapping(u64 address, u64 entry, u64 flags) {
    return hypercall(__HYPERVISOR_update_va_mapping, address, entry, flags);
}

long remap(const void* page, u64 flags) {
    return update_va_mapping(std::bit_cast<u64>(page), pte(mfn_of(page), flags));
}

long mmuext(unsigned command, u64 argument1, u64 argument2) {
    mmuext_op_t op = {};
    op.cmd = command;
    op.arg1.linear_addr = argument1;
    op.arg2.nr_ents = static_cast<unsigned>(argument2);
    return mmuext_ops(&op, 1);
}

long set_entry(const u64* entry, u64 value, u64 command) {
    mmu_update_t update = {machine_address(entry) | command, value};
    return mmu_update_op(&update, 1);
}

long map(u64 address, u64 mfn, u64 flags) {
    for (int level = 4; level > 1; --level) {
        const u64* entry = entry_of(address, level);
        if (*entry & pte_present) continue;
        Page* table = alloc_page();
        if (long result = make_readonly(table)) return result;
        if (long result = set_entry(entry, pte(mfn_of(table), pte_rw))) return result;
    }
    return set_entry(entry_of(address), pte(mfn, flags));
}

void init_paging() { root = mfn_of(reinterpret_cast<void*>(boot_info().pt_base)); }

} // namespace guest
