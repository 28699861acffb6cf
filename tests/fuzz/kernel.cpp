// SPDX-License-Identifier: GPL-2.0-only

// A kernel file from whoever: payload, decoders, ELF, notes, start layout, and what the builder makes of them. Nothing but
// refusals may come of it.

#include <algorithm>
#include <numeric>
#include <vector>

#include "builder/page_tables.hpp"
#include "builder/start_plan.hpp"
#include "input.hpp"
#include "loader/decompress.hpp"
#include "loader/pv_layout.hpp"

using namespace streak;
using namespace streak::loader;
using fuzz::require;

namespace {

constexpr std::uint64_t most_output = 4 << 20, most_work = 4 << 20;

fuzz::Fault small_domain("small-domain");

/// Every segment lies in the kernel's range, and every region in the domain, as the plan promises.
void check_layout(const PvKernel& kernel, const PvLayout& layout, std::uint64_t pages) {
    if (small_domain) pages /= 2;
    require(layout.used_pages <= pages && layout.start_pages() <= pages);
    require(layout.tables.total() == layout.page_tables.pages);
    kernel.image.for_each_segment([&](const Segment& segment) {
        const auto address = kernel.address_of(segment);
        require(address >= layout.kernel.address && address + segment.mem_size <= layout.kernel.end());
    });
    for (const auto* region : {&layout.kernel, &layout.initrd, &layout.p2m, &layout.start_info, &layout.store,
                               &layout.console, &layout.page_tables, &layout.stack, &layout.p2m_tables})
        require(region->pfn.raw() + region->pages <= pages);
}

/// The tables that were planned are those it takes.
void check_tables(const streak::builder::StartPlan& plan, std::uint64_t pages) {
    const auto& layout = plan.layout;
    std::vector<std::uint64_t> frames(pages);
    std::iota(frames.begin(), frames.end(), 1);
    const std::size_t count = layout.page_tables.pages + layout.p2m_tables.pages;
    std::vector<std::uint64_t> memory(count * 512);
    streak::builder::PageTables tables(std::as_writable_bytes(std::span(memory)), std::span(frames).first(count));
    require(tables.map(layout.virt_base, std::span(frames).first(layout.start_pages()), true));
    require(tables.used() == layout.page_tables.pages);
    if (layout.p2m_tables.present())
        require(
            tables.map(layout.p2m.address, std::span(frames).subspan(layout.p2m.pfn.raw(), layout.p2m.pages), true));
    require(tables.used() == count);
}

void plan_guest(Bytes file) {
    const auto kernel = streak::builder::plan_kernel("kernel", file, streak::builder::nonzero_runs(file));
    if (!kernel) {
        require(!kernel.error().what.empty() && !kernel.error().text().empty());
        return;
    }
    std::uint64_t bytes = 0;
    for (const auto& piece : (*kernel)->pieces) {
        require(slice(file, piece.offset, piece.bytes).has_value());
        require(piece.address >= (*kernel)->start.virt_start &&
                piece.address + piece.bytes <= (*kernel)->start.virt_end);
        bytes += piece.bytes;
    }
    require(bytes <= file.size());
    constexpr std::uint64_t pages = 1 << 12;
    if (const auto plan = streak::builder::plan_start((*kernel)->start, pages, file.size())) check_tables(*plan, pages);
}

void read_elf(Bytes file) {
    plan_guest(file);
    for (const auto start_as : {StartAs::dom0, StartAs::dom_u}) {
        const auto kernel = read_pv_kernel(file, start_as);
        if (!kernel) continue;
        for (const std::uint64_t pages : {1ull << 10, 1ull << 15, 1ull << 20})
            if (const auto layout = plan_layout(*kernel, {start_as, pages, file.size()}))
                check_layout(*kernel, *layout, pages);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const Bytes file(reinterpret_cast<const std::byte*>(data), bytes);
    read_elf(file);
    const auto payload = find_payload(file);
    if (!payload || payload->format == Format::elf) return 0;
    std::vector<std::byte> out(std::min(payload->decompressed_size, most_output));
    std::vector<std::byte> work(std::min(work_space(payload->format, payload->data), most_work));
    Arena arena(work);
    if (const auto written = decompress(payload->format, payload->data, out, arena)) {
        require(*written <= out.size());
        read_elf(Bytes(out).first(*written));
    }
    return 0;
}
