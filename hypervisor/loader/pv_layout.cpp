// SPDX-License-Identifier: GPL-2.0-only
#include "loader/pv_layout.hpp"

namespace streak::loader {

namespace {

constexpr std::uint64_t mapping_alignment = 4ull << 20;
constexpr std::uint64_t least_padding = 512ull << 10;
constexpr std::uint64_t most_pages = 1ull << 40;             // keeps every sum below 2^64
constexpr unsigned l1_span = 21, l2_span = 30, l3_span = 39; // a table of that level maps 2^span bytes

static_assert(sizeof(start_info_t) + sizeof(dom0_vga_console_info_t) <= page_size);

constexpr std::uint64_t pages_of(std::uint64_t bytes) { return bytes / page_size + (bytes % page_size != 0 ? 1 : 0); }

constexpr std::uint64_t tables_of_level(std::uint64_t start, std::uint64_t end, unsigned span) {
    return ((end - 1) >> span) - (start >> span) + 1;
}

/// Tables of one level that both ranges use.
constexpr std::uint64_t shared_tables(std::uint64_t start, std::uint64_t end, std::uint64_t other_start,
                                      std::uint64_t other_end, unsigned span) {
    const auto first = std::max(start >> span, other_start >> span);
    const auto last = std::min((end - 1) >> span, (other_end - 1) >> span);
    return last >= first ? last - first + 1 : 0;
}

/// Hands out addresses and frames of the start mapping, one element after the other.
class Packer {
public:
    explicit Packer(const PvLayout& layout) : layout_(layout) {}

    void start_at(std::uint64_t address) { next_ = address; }
    Region take(std::uint64_t pages) {
        const Region region{next_, Pfn((next_ - layout_.virt_base) / page_size), pages};
        next_ += pages * page_size;
        return pages == 0 ? Region{} : region;
    }
    [[nodiscard]] std::uint64_t next() const { return next_; }

private:
    const PvLayout& layout_;
    std::uint64_t next_ = 0;
};

/// Page tables map themselves, so their number depends on the end that depends on their number:
/// grows until both agree. False when the range would wrap around.
bool place_tables_and_stack(PvLayout& layout, Packer& packer) {
    const auto tables_at = packer.next();
    for (std::uint64_t count = 4;;) {
        packer.start_at(tables_at);
        layout.page_tables = packer.take(count);
        layout.stack = packer.take(1);
        const auto end = align_up(packer.next() + least_padding, mapping_alignment);
        if (!end || *end <= layout.virt_base) return false;
        layout.virt_end = *end;
        layout.tables = count_tables(layout.virt_base, layout.virt_end);
        if (layout.tables.total() <= count) return true;
        count = layout.tables.total();
    }
}

/// What lies outside the start mapping: frames after it, addresses (if any) elsewhere.
void place_unmapped(PvLayout& layout, const PvStart& kernel, const LayoutRequest& request) {
    std::uint64_t next = layout.start_pages();
    if (layout.initrd_by_pfn) {
        layout.initrd = Region{0, Pfn(next), pages_of(request.initrd_bytes)};
        next += layout.initrd.pages;
    }
    if (kernel.notes.init_p2m) {
        layout.p2m = Region{*kernel.notes.init_p2m, Pfn(next), pages_of(request.nr_pages * sizeof(xen_pfn_t))};
        layout.p2m_levels = count_more_tables(layout.p2m.address, layout.p2m.end(), layout.virt_base, layout.virt_end);
        next += layout.p2m.pages;
        layout.p2m_tables = Region{0, Pfn(next), layout.p2m_levels.total()};
        next += layout.p2m_tables.pages;
        layout.first_p2m_pfn = layout.p2m.pfn;
        layout.nr_p2m_frames = layout.p2m.pages + layout.p2m_tables.pages;
    }
    layout.used_pages = next;
}

bool overlaps(const PvLayout& layout, const Region& region) {
    return region.address < layout.virt_end && region.end() > layout.virt_base;
}

LoadResult<> check_fit(const PvLayout& layout, const PvStart& kernel, const LayoutRequest& request) {
    if (!guest_range(layout.virt_base, layout.virt_end))
        return refuse(LoadErrc::address_range, "start mapping", HYPERVISOR_VIRT_START, layout.virt_end);
    if (kernel.notes.init_p2m) {
        if (!guest_range(layout.p2m.address, layout.p2m.end()))
            return refuse(LoadErrc::address_range, "INIT_P2M", HYPERVISOR_VIRT_START, layout.p2m.end());
        if (overlaps(layout, layout.p2m))
            return refuse(LoadErrc::address_range, "INIT_P2M", layout.virt_end, layout.p2m.address);
    }
    if (layout.used_pages > request.nr_pages)
        return refuse(LoadErrc::not_enough_memory, "pages", layout.used_pages, request.nr_pages);
    return {};
}

} // namespace

TableCount count_tables(std::uint64_t start, std::uint64_t end) {
    return {tables_of_level(start, end, l1_span), tables_of_level(start, end, l2_span),
            tables_of_level(start, end, l3_span), 1};
}

TableCount count_more_tables(std::uint64_t start, std::uint64_t end, std::uint64_t other_start,
                             std::uint64_t other_end) {
    const auto level = [&](unsigned span) {
        return tables_of_level(start, end, span) - shared_tables(start, end, other_start, other_end, span);
    };
    return {level(l1_span), level(l2_span), level(l3_span), 0};
}

LoadResult<PvLayout> plan_layout(const PvStart& kernel, const LayoutRequest& request) {
    if (request.nr_pages == 0 || request.nr_pages > most_pages)
        return refuse(LoadErrc::not_enough_memory, "pages", most_pages, request.nr_pages);
    if (pages_of(request.initrd_bytes) > request.nr_pages)
        return refuse(LoadErrc::not_enough_memory, "initrd pages", pages_of(request.initrd_bytes), request.nr_pages);

    PvLayout layout;
    layout.virt_base = kernel.virt_base;
    layout.entry = kernel.entry;
    layout.initrd_by_pfn = kernel.notes.mod_start_pfn && request.initrd_bytes != 0;

    Packer packer(layout);
    packer.start_at(kernel.virt_start & ~(page_size - 1));
    layout.kernel = packer.take(pages_of(kernel.virt_end - packer.next()));
    if (!layout.initrd_by_pfn) layout.initrd = packer.take(pages_of(request.initrd_bytes));
    if (!kernel.notes.init_p2m) layout.p2m = packer.take(pages_of(request.nr_pages * sizeof(xen_pfn_t)));
    layout.start_info = packer.take(1);
    if (request.start_as == StartAs::dom_u) {
        layout.store = packer.take(1);
        layout.console = packer.take(1);
    }
    if (packer.next() < layout.virt_base || !place_tables_and_stack(layout, packer))
        return refuse(LoadErrc::address_range, "start mapping", layout.virt_base, packer.next());
    layout.stack_top = layout.stack.end();

    place_unmapped(layout, kernel, request);
    TRY(check_fit(layout, kernel, request));
    layout.mod_start = layout.initrd_by_pfn ? layout.initrd.pfn.raw() : layout.initrd.address;
    return layout;
}

} // namespace streak::loader
