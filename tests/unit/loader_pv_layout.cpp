// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <random>

#include "loader/pv_layout.hpp"
#include "loader_test_elf.hpp"

using namespace streak;
using namespace streak::loader;
using namespace loader_test;

namespace {

constexpr std::uint64_t mib = 1 << 20;

/// A kernel of the given extent; the file must outlive it, hence static storage.
PvKernel kernel_at(std::uint64_t base, std::uint64_t start, std::uint64_t end, bool init_p2m, bool mod_start_pfn) {
    static Blob file;
    ElfBuilder elf;
    elf.load(start, start - base, end - start).number(XEN_ELFNOTE_VIRT_BASE, base).number(XEN_ELFNOTE_ENTRY, start);
    if (init_p2m) elf.number(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
    if (mod_start_pfn) elf.number(XEN_ELFNOTE_MOD_START_PFN, 1);
    file = elf.build();
    return *read_pv_kernel(file, StartAs::dom0);
}

PvKernel debian(bool init_p2m = true, bool mod_start_pfn = true) {
    return kernel_at(0xffffffff80000000, 0xffffffff81000000, 0xffffffff84a00000, init_p2m, mod_start_pfn);
}

/// What every layout must fulfil (xen/xen.h, startofday).
void check_rules(const PvLayout& layout, const LayoutRequest& request) {
    CHECK(layout.virt_end % (4 * mib) == 0);
    CHECK(layout.virt_end - layout.stack.end() >= mib / 2);
    CHECK(layout.stack_top == layout.stack.end());
    CHECK(layout.tables == count_tables(layout.virt_base, layout.virt_end));
    CHECK(layout.tables.total() == layout.page_tables.pages);
    CHECK(layout.used_pages <= request.nr_pages);
    std::uint64_t next = layout.kernel.end();
    for (const auto* region :
         {layout.initrd_by_pfn ? nullptr : &layout.initrd, layout.p2m_tables.present() ? nullptr : &layout.p2m,
          &layout.start_info, &layout.store, &layout.console, &layout.page_tables, &layout.stack}) {
        if (region == nullptr || !region->present()) continue;
        CHECK(region->address == next);
        CHECK(layout.address_of(region->pfn) == region->address);
        next = region->end();
    }
}

} // namespace

TEST_CASE("dom0 layout of Debian's kernel is as measured", "[loader][layout]") {
    const LayoutRequest request{StartAs::dom0, 262144, 0x48ba00};
    const auto layout = plan_layout(debian(), request);
    REQUIRE(layout);
    check_rules(*layout, request);
    CHECK(layout->start_info.address == 0xffffffff84a00000);
    CHECK(!layout->store.present());
    CHECK(layout->page_tables.address == 0xffffffff84a01000);
    CHECK(layout->page_tables.pages == 41);
    CHECK(layout->tables == TableCount{38, 1, 1, 1});
    CHECK(layout->stack.address == 0xffffffff84a2a000);
    CHECK(layout->virt_end == 0xffffffff84c00000);
    CHECK(layout->initrd_by_pfn);
    CHECK(layout->mod_start == 0x4c00);
    CHECK(layout->initrd.pages == 0x48c);
    CHECK(layout->p2m.address == 0x8000000000);
    CHECK(layout->first_p2m_pfn == Pfn(0x4c00 + 0x48c));
    CHECK(layout->p2m.pages == 512);
    CHECK(layout->p2m_levels == TableCount{1, 1, 1, 0});
    CHECK(layout->nr_p2m_frames == 515);
    CHECK(layout->used_pages == 0x4c00 + 0x48c + 515);
}

TEST_CASE("domU layout of Debian's kernel is as measured", "[loader][layout]") {
    const LayoutRequest request{StartAs::dom_u, 32768, 0x451000};
    const auto layout = plan_layout(debian(), request);
    REQUIRE(layout);
    check_rules(*layout, request);
    CHECK(layout->store.address == 0xffffffff84a01000);
    CHECK(layout->console.address == 0xffffffff84a02000);
    CHECK(layout->page_tables.address == 0xffffffff84a03000);
    CHECK(layout->page_tables.pages == 41);
    CHECK(layout->mod_start == 0x4c00);
    CHECK(layout->first_p2m_pfn == Pfn(0x5051));
    CHECK(layout->nr_p2m_frames == 67);
}

TEST_CASE("without the two notes everything is in the start mapping", "[loader][layout]") {
    const LayoutRequest request{StartAs::dom_u, 65536, 5 * mib + 1};
    const auto layout = plan_layout(debian(false, false), request);
    REQUIRE(layout);
    check_rules(*layout, request);
    CHECK(!layout->initrd_by_pfn);
    CHECK(layout->mod_start == 0xffffffff84a00000);
    CHECK(layout->initrd.pages == 1281);
    CHECK(layout->p2m.address == layout->initrd.end());
    CHECK(layout->nr_p2m_frames == 0);
    CHECK(layout->used_pages == layout->start_pages());
}

TEST_CASE("a kernel at virtual base 0 in 4 MiB", "[loader][layout]") {
    const LayoutRequest request{StartAs::dom_u, 1024, 0};
    const auto layout = plan_layout(kernel_at(0, 0, 0x2000, false, false), request);
    REQUIRE(layout);
    check_rules(*layout, request);
    CHECK(layout->virt_end == 4 * mib);
    CHECK(layout->tables == TableCount{2, 1, 1, 1});
    CHECK(!plan_layout(kernel_at(0, 0, 0x2000, false, false), {StartAs::dom_u, 1023, 0}));
}

TEST_CASE("padding adds 4 MiB when the end is too near", "[loader][layout]") {
    for (std::uint64_t kernel_pages = 880; kernel_pages < 920; ++kernel_pages) {
        const LayoutRequest request{StartAs::dom0, 4096, 0};
        const auto layout = plan_layout(kernel_at(0, 0, kernel_pages * page_size, false, false), request);
        REQUIRE(layout);
        check_rules(*layout, request);
    }
}

TEST_CASE("tables counts", "[loader][layout]") {
    CHECK(count_tables(0, page_size) == TableCount{1, 1, 1, 1});
    CHECK(count_tables(0x1fffff, 0x200001) == TableCount{2, 1, 1, 1});
    CHECK(count_tables(0, 1ull << 39) == TableCount{512 * 512, 512, 1, 1});
    CHECK(count_more_tables(0x8000000000, 0x8000001000, 0, 0x400000) == TableCount{1, 1, 1, 0});
    CHECK(count_more_tables(0x400000, 0x401000, 0, 0x400000) == TableCount{1, 0, 0, 0}); // neighbours share L2 and L3
    CHECK(count_more_tables(0x3ff000, 0x400000, 0, 0x3fe000) == TableCount{0, 0, 0, 0});
    CHECK(count_more_tables(0x40000000, 0x40001000, 0, 0x400000) == TableCount{1, 1, 0, 0});
}

TEST_CASE("too little memory says how much is needed", "[loader][layout]") {
    const auto layout = plan_layout(debian(), {StartAs::dom0, 4096, 0});
    REQUIRE(!layout);
    CHECK(layout.error().code == LoadErrc::not_enough_memory);
    CHECK(layout.error().found == 4096);
    CHECK(layout.error().expected > 0x4c00);
    CHECK(!plan_layout(debian(), {StartAs::dom0, 0, 0}));
    CHECK(!plan_layout(debian(), {StartAs::dom0, 262144, ~0ull}));
    CHECK(!plan_layout(debian(), {StartAs::dom0, ~0ull, 0}));
}

TEST_CASE("a p2m that doesn't fit below the top of memory is refused", "[loader][layout]") {
    // 2 GiB of kernel space: 8 bytes per page of 4 TiB don't fit, and mustn't wrap around.
    const auto layout = plan_layout(debian(false, true), {StartAs::dom0, 1ull << 30, 0});
    REQUIRE(!layout);
    CHECK(layout.error().code == LoadErrc::address_range);
}

TEST_CASE("random requests keep the rules", "[loader][layout]") {
    std::mt19937_64 random(42);
    for (int round = 0; round < 3000; ++round) {
        const std::uint64_t base = random() % 2 != 0 ? 0xffffffff80000000 : 0;
        const std::uint64_t start = base + random() % 1024 * page_size;
        const auto kernel =
            kernel_at(base, start, start + 1 + random() % (64 * mib), random() % 2 != 0, random() % 2 != 0);
        const LayoutRequest request{random() % 2 != 0 ? StartAs::dom0 : StartAs::dom_u, random() % 1000000,
                                    random() % 3 != 0 ? random() % (256 * mib) : 0};
        if (const auto layout = plan_layout(kernel, request)) check_rules(*layout, request);
    }
}
