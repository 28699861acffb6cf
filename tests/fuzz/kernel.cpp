// SPDX-License-Identifier: GPL-2.0-only

// A kernel file from whoever: payload, decoders, ELF, notes, start layout. Nothing but refusals may come of it.

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "loader/decompress.hpp"
#include "loader/pv_layout.hpp"

using namespace streak::loader;

namespace {

constexpr std::uint64_t most_output = 4 << 20, most_work = 4 << 20;

void require(bool condition) {
    if (!condition) std::abort();
}

/// Every segment lies in the kernel's range, and every region in the domain, as the plan promises.
void check_layout(const PvKernel& kernel, const PvLayout& layout, std::uint64_t pages) {
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

void read_elf(Bytes file) {
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
