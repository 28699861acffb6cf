// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/modules/fuzz/world.hpp"

#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/verdict.hpp"

namespace fuzz {

constinit World world = {};

namespace {

u64 mfn_behind(u64 address, int level) { return (*entry_of(address, level) & pte_frame_mask) >> 12; }

void make_window() {
    require_eq(map(window, world.mfn[0], pte_ro), 0, "a window");
    require_eq(update_va_mapping(window, 0), 0, "that is empty");
    world.window_pte = machine_address(entry_of(window));
    for (int level = 4; level > 1; --level) world.window_table[4 - level] = mfn_behind(window, level);
}

void make_toys() {
    world.first_pfn = boot_info().nr_pages - World::toys;
    for (unsigned i = 0; i < World::toys; ++i) {
        world.mfn[i] = p2m(world.first_pfn + i);
        world.home_pte[i] = machine_address(entry_of(world.toy_address(i)));
    }
}

/// Root tables by which this kernel can go on; their last entry is never touched again.
void make_clones() {
    Random random(1);
    const u64* root = static_cast<const u64*>(address_of_mfn(root_mfn()));
    for (unsigned i = World::toys - World::clones; i < World::toys; ++i) {
        auto* page = reinterpret_cast<Page*>(world.toy_address(i));
        page->word[511] = root[511];
        page->word[window >> 39] = root[window >> 39];
        require_eq(make_readonly(page), 0, "a copy of the root");
        require_eq(pin(4, page), 0, "is pinned");
        world.pinned.add(random, world.mfn[i]);
    }
}

void make_grants() {
    world.grants = alloc_pages(World::grant_frames);
    std::int16_t status = 0;
    require_eq(setup_table(World::grant_frames, world.grant_mfn, status), 0, "GNTTABOP_setup_table");
    for (unsigned i = 0; i < World::grant_frames; ++i)
        require_eq(update_va_mapping(std::bit_cast<u64>(world.grants + i), pte(world.grant_mfn[i], pte_rw)), 0,
                   "its frames are mapped");
}

} // namespace

void make_world(Mailbox& box) {
    world.box = &box;
    make_toys();
    make_window();
    make_clones();
    make_grants();
    world.own_frames[0] = root_mfn();
    for (int level = 4; level > 1; --level) world.own_frames[5 - level] = mfn_behind(virtual_base, level);
    for (unsigned i = 4; i < std::size(world.own_frames); ++i) world.own_frames[i] = mfn_of(alloc_page());
}

} // namespace fuzz
