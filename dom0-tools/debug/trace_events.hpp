// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

// Trace records as bytes (xen/trace.h, t_rec), which a ring or a file holds, and what they say happened, and to whom. Pure.

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

struct TraceVcpu {
    std::uint32_t domain = no_domain, number = 0;
    static constexpr std::uint32_t no_domain = ~0u, idle_domain = 0x7fff;

    [[nodiscard]] bool known() const { return domain != no_domain; }
    [[nodiscard]] bool idle() const { return domain == idle_domain; }
};

struct TraceEvent {
    enum class Kind : std::uint8_t { call, call_end, trap, page_fault, switches, wakes, blocks, loss };
    Kind kind{};
    std::uint64_t tsc = 0;
    std::uint32_t cpu = 0;
    TraceVcpu vcpu{};                       ///< whom the CPU runs, who leaves it, who wakes or blocks
    TraceVcpu next{};                       ///< switches: who runs from now on
    std::uint64_t begun = 0;                ///< call_end, switches: TSC since when; 0: that was not seen
    std::uint32_t number = 0;               ///< hypercall, vector, records lost
    bool in_list = false;                   ///< a call of a multicall
    std::vector<std::uint64_t> arguments{}; ///< call, call_end
    std::uint64_t result = 0;               ///< call_end
    std::uint64_t rip = 0, address = 0, error = 0;
};

/// Follows the records of all CPUs, in the order of time.
class TraceFollower {
public:
    /// Nothing for records that say nothing new, or that nobody knows.
    [[nodiscard]] std::optional<TraceEvent> add(const TraceRecord& record);
    /// Records that the hypervisor had no room for.
    [[nodiscard]] std::uint64_t lost() const { return lost_; }

private:
    struct Cpu {
        TraceVcpu runs{};
        std::uint64_t since = 0;
        std::vector<TraceEvent> open{}; ///< calls that go on, the outermost first
    };
    static void begin_call(const TraceRecord& record, Cpu& cpu, TraceEvent& event);
    static void end_call(const TraceRecord& record, Cpu& cpu, TraceEvent& event);

    std::map<std::uint32_t, Cpu> cpus_;
    std::uint64_t lost_ = 0;
};

} // namespace streak::debug
