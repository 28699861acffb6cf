// SPDX-License-Identifier: GPL-2.0-only
// In place of the allocator's own file, whose lists are known nowhere else.
#include "hypervisor/mm/frame_allocator.cpp"

#include "domain/domain.hpp"
#include "tests/invariants/invariants.hpp"

namespace streak::invariants {

using mm::PageInfo;

namespace {

void mark_free(const PageInfo& first, unsigned order) {
    for (u64 i = 0; i < (1ull << order); ++i) {
        const PageInfo& page = (&first)[i];
        require_equal(page, "the owner of a free frame", invalid_domid.raw(), page.owner);
        if (expected(page).free) broken_frame(page, "how often it is free", 1, 2);
        if (i != 0) require_equal(page, "the count inside a free block", 0, page.count.load());
        expected(page).free = true;
    }
}

u64 walk_list(unsigned zone, unsigned order) {
    u64 blocks = 0;
    u32 before = mm::no_frame;
    for (u32 at = mm::free_lists[zone][order]; at != mm::no_frame; at = mm::at(at).next) {
        const PageInfo& page = mm::at(at);
        require_equal(page, "the first count of a free block", mm::free_head, page.count.load());
        require_equal(page, "the order of a free block", order, page.progress);
        require_equal(page, "the zone of a free block", zone, mm::zone_of(at, order));
        require_equal(page, "the free block before it", before, page.prev);
        mark_free(page, order);
        before = at;
        ++blocks;
    }
    if ((blocks != 0) != ((mm::orders_present[zone] >> order) & 1))
        broken("free blocks of zone {}, order {}: {} found, the map of lists differs", zone, order, blocks);
    return blocks << order;
}

} // namespace

void check_free_lists() {
    require_free(mm::allocator_lock, "the allocator's lock", 0);
    u64 frames = 0, claimed = 0;
    for (unsigned zone = 0; zone < mm::zones; ++zone)
        for (unsigned order = 0; order <= mm::max_order; ++order) frames += walk_list(zone, order);
    for (u32 i = 0; i < mm::recent_count; ++i) {
        const PageInfo& page = mm::at(mm::recent[i]);
        require_equal(page, "the count of a frame just freed", 0, page.count.load());
        mark_free(page, 0);
    }
    frames += mm::recent_count;
    if (frames != mm::free_frame_count) broken("{} free frames are counted, {} listed", mm::free_frame_count, frames);
    for_each_domain([&](const Domain& d) { claimed += d.pages.claim; });
    if (claimed != mm::claimed_frames)
        broken("{} frames are counted as claimed, {} by the domains", mm::claimed_frames, claimed);
}

} // namespace streak::invariants
