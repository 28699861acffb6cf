// SPDX-License-Identifier: GPL-2.0-only
#include "mm/host_page_table.hpp"

#include <cstring>

#include "arch/image.hpp"
#include "arch/tlb.hpp"
#include "lib/panic.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/host_page_table_build.hpp"
#include "mm/pte.hpp"

namespace streak::mm {

namespace {

using namespace pte;

constinit u64* top_table = nullptr;
constinit SpinLock table_lock;
constinit u64 next_mmio = arch::mmio_base;
constinit TableAllocator allocate_table = nullptr;

/// By Access. (PAT entry 4, index bit 7 of a 4 KiB entry, is write-combining in Streak's PAT.)
constexpr u64 access_bits[] = {0,
                               present | global | no_execute,
                               present | writable | global | no_execute,
                               present | global,
                               present | user | global | no_execute,
                               present | writable | cache_disable | write_through | global | no_execute,
                               present | writable | pat | global | no_execute};
u64 bits_of(Access access) { return access_bits[static_cast<unsigned>(access)]; }

u64* table_at(u64 entry) { return arch::direct_map<u64>(Maddr(entry & address_mask)); }

/// The table below `table[slot]`, made when missing.
u64* descend(u64* table, unsigned index) {
    if (!(table[index] & present)) {
        const Maddr fresh = allocate_table();
        std::memset(arch::direct_map(fresh), 0, page_size);
        // Upper levels allow everything; the leaf decides.
        table[index] = fresh.raw() | present | writable | user;
    }
    ASSERT(!(table[index] & large));
    return table_at(table[index]);
}

u64* entry_in(u64* table, u64 va, unsigned leaf_level) {
    for (unsigned level = 4; level > leaf_level; --level) table = descend(table, index(va, level));
    return &table[index(va, leaf_level)];
}

u64* entry_for(u64 va, unsigned leaf_level) { return entry_in(top_table, va, leaf_level); }

Maddr table_from_heap() {
    PageInfo* page = alloc_frames(0);
    if (!page) panic("no memory for a page table of the hypervisor");
    return to_maddr(mfn_of(*page));
}

/// No entry of the table, or below it, is writable and executable.
void check_table(const u64* table, unsigned level) {
    for (unsigned i = 0; i < 512; ++i) {
        const u64 entry = table[i];
        if (!(entry & present)) continue;
        if (level > 1 && !(entry & large)) check_table(table_at(entry), level - 1);
        else ASSERT(!(entry & writable) || (entry & no_execute));
    }
}

} // namespace

void start_tables(TableAllocator allocator) {
    allocate_table = allocator;
    top_table = arch::direct_map<u64>(allocator());
    std::memset(top_table, 0, page_size);
}

void install_tables() {
    std::memcpy(&arch::boot_l4[arch::first_hypervisor_slot], &top_table[arch::first_hypervisor_slot],
                (arch::last_hypervisor_slot - arch::first_hypervisor_slot + 1) * sizeof(u64));
    top_table = arch::boot_l4;
    tlb::flush_local(tlb::Flush::all);
}

void drop_low_mappings() {
    arch::boot_l4[0] = 0;
    tlb::flush_local(tlb::Flush::all);
}

void check_write_xor_execute() {
    for (unsigned i = arch::first_hypervisor_slot; i <= arch::last_hypervisor_slot; ++i)
        if (top_table[i] & present) check_table(table_at(top_table[i]), 3);
}

void use_heap_for_tables() { allocate_table = table_from_heap; }

void prepare_slot(u64 va) { (void)descend(top_table, index(va, 4)); }

void map_range(u64 va, Maddr address, u64 bytes, Access access, bool gigabyte_pages) {
    constexpr u64 size_2m = 1ull << 21, size_1g = 1ull << 30;
    u64 pa = address.raw();
    while (bytes != 0) {
        unsigned level = 1;
        u64 step = page_size;
        if (gigabyte_pages && ((va | pa) % size_1g) == 0 && bytes >= size_1g) level = 3, step = size_1g;
        else if (((va | pa) % size_2m) == 0 && bytes >= size_2m) level = 2, step = size_2m;
        *entry_for(va, level) = pa | bits_of(access) | (level > 1 ? large : 0);
        va += step;
        pa += step;
        bytes -= step;
    }
}

void map_hypervisor_page(u64 va, Mfn mfn, Access access) {
    LockGuard guard(table_lock);
    *entry_for(va, 1) = access == Access::none ? 0 : to_maddr(mfn).raw() | bits_of(access);
    asm volatile("invlpg (%0)" ::"r"(va) : "memory");
}

void* map_mmio(Maddr address, u64 bytes, Access access) {
    const u64 offset = address.raw() % page_size;
    const u64 pages = (offset + bytes + page_size - 1) / page_size;
    u64 va = 0;
    {
        LockGuard guard(table_lock);
        va = next_mmio;
        next_mmio += pages * page_size;
    }
    for (u64 i = 0; i < pages; ++i) map_hypervisor_page(va + i * page_size, to_mfn(address) + i, access);
    return reinterpret_cast<void*>(va + offset);
}

const void* map_firmware(Maddr address, u64 bytes) {
    if (direct_map_covers(address, bytes)) return arch::direct_map(address);
    return map_mmio(address, bytes, Access::read);
}

u64* make_root() {
    u64* const root = arch::direct_map<u64>(allocate_table());
    std::memset(root, 0, page_size);
    return root;
}

void map_page_in(u64* root, u64 va, Mfn mfn, Access access) {
    *entry_in(root, va, 1) = to_maddr(mfn).raw() | bits_of(access);
}

void share_l1_in(u64* root, u64 va) { *entry_in(root, va, 2) = *entry_for(va, 2); }

u64* hypervisor_l4() { return top_table; }
Maddr hypervisor_cr3() { return arch::image_maddr(arch::boot_l4); }

} // namespace streak::mm
