// SPDX-License-Identifier: GPL-2.0-only
#include "init/dom0_memory.hpp"

#include <cstring>

#include "lib/panic.hpp"
#include "mm/pte.hpp"

namespace streak::init {

namespace {

using namespace mm::pte;
constexpr u64 table_flags = present | writable | user | accessed;

/// Calls `step(frame memory, bytes)` for each piece of [offset, offset + bytes) that lies in one frame.
template <class Step> void for_each_piece(const GuestFrames& frames, Pfn first, u64 offset, u64 bytes, Step step) {
    while (bytes != 0) {
        const u64 in_page = offset % page_size;
        const u64 n = std::min(bytes, page_size - in_page);
        step(frames.memory(first + offset / page_size) + in_page, n);
        offset += n;
        bytes -= n;
    }
}

/// Makes start page tables out of a run of frames.
class TableWriter {
public:
    TableWriter(const GuestFrames& frames, Pfn l4) : frames_(frames), l4_(l4) {}

    /// Further tables come from here.
    void use(Pfn first, u64 count) { next_ = first, end_ = first + count; }

    void map(u64 va, Pfn pfn, bool may_write) {
        u64* table = entries(l4_);
        for (unsigned level = 4; level > 1; --level) table = descend(table[index(va, level)]);
        table[index(va, 1)] = make(frames_.mfn(pfn), present | user | accessed | dirty | (may_write ? writable : 0));
    }

private:
    u64* entries(Pfn table) const { return reinterpret_cast<u64*>(frames_.memory(table)); }

    u64* descend(u64& entry) {
        if (!(entry & present)) {
            ASSERT(next_ < end_);
            std::memset(frames_.memory(next_), 0, page_size);
            entry = make(frames_.mfn(next_), table_flags);
            ++next_;
        }
        return arch::direct_map<u64>(Maddr(entry & address_mask));
    }

    const GuestFrames& frames_;
    Pfn l4_, next_{}, end_{};
};

} // namespace

GuestFrames::GuestFrames(Domain& domain, u64 count)
    : table_(static_cast<u64*>(mm::alloc_zeroed_pages(mm::order_for(count * 8)))),
      table_order_(mm::order_for(count * 8)), count_(count) {
    if (!table_) panic("no memory for dom0's frame list ({} KiB)", count * 8 / 1024);
    unsigned order = mm::max_order;
    for (u64 pfn = 0; pfn < count;) {
        order = std::min<unsigned>(order, std::bit_width(count - pfn) - 1);
        mm::PageInfo* block = mm::alloc_frames(order);
        if (!block) {
            if (order == 0) panic("dom0's memory: {} KiB expected, {} KiB found", count * 4, pfn * 4);
            --order;
            continue;
        }
        ASSERT(mm::assign_frames(domain.pages, *block, order));
        for (u64 i = 0; i < (1ull << order); ++i, ++pfn) {
            table_[pfn] = mm::mfn_of(*block).raw() + i;
            mm::m2p(Mfn(table_[pfn])) = pfn;
        }
    }
}

GuestFrames::~GuestFrames() { mm::free_pages(table_, table_order_); }

void GuestFrames::write(Pfn first, u64 offset, std::span<const std::byte> data) const {
    const std::byte* from = data.data();
    for_each_piece(*this, first, offset, data.size(), [&](u8* to, u64 n) {
        std::memcpy(to, from, n);
        from += n;
    });
}

void GuestFrames::clear(Pfn first, u64 offset, u64 bytes) const {
    for_each_piece(*this, first, offset, bytes, [](u8* to, u64 n) { std::memset(to, 0, n); });
}

Pfn write_page_tables(const GuestFrames& frames, const loader::PvLayout& layout) {
    const Pfn l4 = layout.page_tables.pfn;
    std::memset(frames.memory(l4), 0, page_size);
    TableWriter writer(frames, l4);

    writer.use(l4 + 1, layout.page_tables.pages - 1);
    const Pfn tables_end = l4 + layout.page_tables.pages;
    for (u64 page = 0; page < layout.start_pages(); ++page) {
        const Pfn pfn(page);
        writer.map(layout.address_of(pfn), pfn, pfn < l4 || pfn >= tables_end);
    }
    if (layout.p2m_tables.present()) {
        writer.use(layout.p2m_tables.pfn, layout.p2m_tables.pages);
        for (u64 page = 0; page < layout.p2m.pages; ++page)
            writer.map(layout.p2m.address + page * page_size, layout.p2m.pfn + page, true);
    }
    return l4;
}

} // namespace streak::init
