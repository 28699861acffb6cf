// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// Trace records as bytes (xen/trace.h, t_rec), which a ring or a file holds. Pure.

namespace streak::debug {

struct TraceRecord {
    std::uint64_t tsc = 0;
    std::uint32_t cpu = 0;
    std::uint32_t event = 0;
    std::uint32_t count = 0; ///< words that it has
    std::array<std::uint32_t, 7> words{};

    [[nodiscard]] std::uint64_t wide(std::size_t at) const { return words[at] | std::uint64_t{words[at + 1]} << 32; }
};

/// Takes records out of bytes that come in pieces.
class RecordReader {
public:
    /// Those of a ring are one CPU's; a file names it (TRC_TRACE_CPU_CHANGE).
    explicit RecordReader(std::uint32_t cpu = 0) : cpu_(cpu) {}

    /// Adds whole records to `to`; what is left of `bytes` waits for the next piece. Fillers are left out. A record
    /// without time has that of the one before it.
    void read(std::span<const std::byte> bytes, std::vector<TraceRecord>& to);

    /// Bytes of a record that did not become whole.
    [[nodiscard]] std::size_t pending() const { return pending_.size(); }

private:
    std::uint32_t cpu_;
    std::uint64_t tsc_ = 0;
    std::vector<std::byte> pending_;
};

} // namespace streak::debug
