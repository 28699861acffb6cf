// SPDX-License-Identifier: GPL-2.0-only
#include "builder/page_tables.hpp"

#include <algorithm>

#include "lib/ids.hpp"

namespace streak::builder {

namespace {

// Intel SDM 3A 4.5.4. A PV guest runs in ring 3, so all of it is `user`.
constexpr std::uint64_t present = 1, writable_bit = 2, user = 4, accessed = 0x20, dirty = 0x40;
constexpr std::uint64_t table_flags = present | writable_bit | user | accessed;
constexpr std::uint64_t page_flags = present | user | accessed | dirty;

constexpr std::size_t index_of(std::uint64_t address, unsigned level) {
    return address >> (page_shift + 9 * (level - 1)) & 511;
}

} // namespace

std::uint64_t* PageTables::descend(std::uint64_t& entry) {
    if ((entry & present) == 0) {
        if (used_ == frames_.size()) return nullptr;
        entry = frames_[used_] << page_shift | table_flags;
        return table(used_++);
    }
    const auto at = std::ranges::find(frames_, entry >> page_shift);
    return table(static_cast<std::size_t>(at - frames_.begin()));
}

std::uint64_t* PageTables::l1_of(std::uint64_t address) {
    std::uint64_t* entries = table(0);
    for (unsigned level = 4; level > 1 && entries != nullptr; --level)
        entries = descend(entries[index_of(address, level)]);
    return entries;
}

bool PageTables::map(std::uint64_t address, std::span<const std::uint64_t> frames, bool writable) {
    const std::uint64_t flags = page_flags | (writable ? writable_bit : 0);
    while (!frames.empty()) {
        std::uint64_t* const l1 = l1_of(address);
        if (l1 == nullptr) return false;
        const std::size_t first = index_of(address, 1);
        const std::size_t count = std::min(entries_per_table - first, frames.size());
        for (std::size_t i = 0; i < count; ++i) l1[first + i] = frames[i] << page_shift | flags;
        frames = frames.subspan(count);
        address += count * page_size;
    }
    return true;
}

} // namespace streak::builder
