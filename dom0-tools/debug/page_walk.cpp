// SPDX-License-Identifier: GPL-2.0-only
#include "debug/page_walk.hpp"

#include <algorithm>
#include <utility>

#include "lib/ids.hpp"

// Entries as in Intel SDM 3A 4.5; PV guests have no large pages.

namespace streak::debug {
namespace {

constexpr std::uint64_t present = 1, writable = 2, large = 1 << 7, no_execute = 1ull << 63;
constexpr std::uint64_t frame_mask = (1ull << 40) - 1;
constexpr unsigned first_reserved_slot = 256, last_reserved_slot = 271; ///< xen/arch-x86/xen-x86_64.h
constexpr std::uint64_t upper_half = 1ull << 47;

constexpr std::uint64_t canonical(std::uint64_t address) {
    return (address & upper_half) != 0 ? address | ~(upper_half - 1) : address;
}

} // namespace

void PageWalk::descend(std::uint64_t frame, unsigned level, std::uint64_t base) {
    const auto table = tables_left_ != 0 && pages_.size() < most_pages_ ? read_(frame) : std::nullopt;
    if (!table) {
        complete_ = false;
        return;
    }
    --tables_left_;
    for (unsigned i = 0; i < table->size(); ++i) {
        const std::uint64_t entry = (*table)[i], next = entry >> page_shift & frame_mask;
        const std::uint64_t address = canonical(base | std::uint64_t{i} << (page_shift + 9 * (level - 1)));
        if ((entry & present) == 0) continue;
        if (level == 4 && i >= first_reserved_slot && i <= last_reserved_slot) continue;
        if (level == 1) pages_.push_back({address, next, (entry & writable) != 0, (entry & no_execute) == 0});
        else if ((entry & large) == 0) descend(next, level - 1, address);
    }
}

std::vector<MappedPage> PageWalk::take() {
    std::ranges::stable_sort(pages_, {}, &MappedPage::address);
    const auto twice = std::ranges::unique(pages_, {}, &MappedPage::address);
    pages_.erase(twice.begin(), twice.end());
    return std::exchange(pages_, {});
}

} // namespace streak::debug
