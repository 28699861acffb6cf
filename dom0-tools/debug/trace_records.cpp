// SPDX-License-Identifier: GPL-2.0-only
#include "debug/trace_records.hpp"

#include <cstring>

#include "lib/abi.hpp"

namespace streak::debug {

void RecordReader::read(std::span<const std::byte> bytes, std::vector<TraceRecord>& to) {
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    std::size_t at = 0;
    const auto word = [&](std::size_t index) {
        std::uint32_t value;
        std::memcpy(&value, pending_.data() + at + index * sizeof value, sizeof value);
        return value;
    };
    while (pending_.size() - at >= sizeof(std::uint32_t)) {
        const std::uint32_t head = word(0), count = TRC_HD_EXTRA(head);
        const std::size_t stamp = TRC_HD_INCLUDES_CYCLE_COUNT(head) ? 2 : 0, all = 1 + stamp + count;
        if (pending_.size() - at < all * sizeof(std::uint32_t)) break;
        if (stamp != 0) tsc_ = word(1) | std::uint64_t{word(2)} << 32;
        TraceRecord record{.tsc = tsc_, .cpu = cpu_, .event = TRC_HD_TO_EVENT(head), .count = count};
        for (std::uint32_t i = 0; i < count; ++i) record.words[i] = word(1 + stamp + i);
        at += all * sizeof(std::uint32_t);
        if (record.event == TRC_TRACE_CPU_CHANGE) cpu_ = record.words[0];
        else if (record.event != TRC_TRACE_WRAP_BUFFER) to.push_back(record);
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
}

} // namespace streak::debug
