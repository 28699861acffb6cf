// SPDX-License-Identifier: GPL-2.0-only
// In place of the heap's own file, whose lists are known nowhere else.
#include "hypervisor/mm/heap.cpp"

#include "mm/memory_map.hpp"
#include "tests/invariants/invariants.hpp"

namespace streak::invariants {

void check_heap() {
    require_free(mm::heap_lock, "the heap's lock", 0);
    const u64 most = mm::memory_totals().total_frames << (page_shift - mm::smallest_shift);
    for (unsigned c = 0; c < mm::classes; ++c) {
        u64 objects = 0;
        for (const mm::FreeObject* o = mm::free_lists[c]; o; o = o->next) {
            const u64 address = arch::direct_map_maddr(o).raw();
            const bool aligned = address % (1ull << (c + mm::smallest_shift)) == 0;
            if (!aligned || !mm::frame_is_ram(to_mfn(Maddr(address))) ||
                mm::page_of_unchecked(to_mfn(Maddr(address))).owner_id() != xen_id)
                broken("heap: a free object of {} bytes at {:#x}", 1u << (c + mm::smallest_shift), address);
            if (++objects > most)
                broken("heap: the list of objects of {} bytes has no end", 1u << (c + mm::smallest_shift));
        }
    }
}

} // namespace streak::invariants
