// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <optional>

#include "debug/trace_records.hpp"

// What records say happened, and to whom. Pure.

namespace streak::debug {

struct TraceVcpu {
    std::uint32_t domain = no_domain, number = 0;
    static constexpr std::uint32_t no_domain = ~0u, idle_domain = 0x7fff;

    [[nodiscard]] bool known() const { return domain != no_domain; }
    [[nodiscard]] bool idle() const { return domain == idle_domain; }
    auto operator<=>(const TraceVcpu&) const = default;
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
    /// Records that the hypervisor had no room for; those of unknown kinds, or too short.
    [[nodiscard]] std::uint64_t lost() const { return lost_; }
    [[nodiscard]] std::uint64_t unknown() const { return unknown_; }
    /// Everybody leaves their CPUs: the end of a trace.
    [[nodiscard]] std::vector<TraceEvent> finish() const;

private:
    struct Cpu {
        TraceVcpu runs{};
        std::uint64_t since = 0;
        std::vector<TraceEvent> open{}; ///< calls that go on, the outermost first
    };
    static void begin_call(const TraceRecord& record, Cpu& cpu, TraceEvent& event);
    static void end_call(const TraceRecord& record, Cpu& cpu, TraceEvent& event);

    std::map<std::uint32_t, Cpu> cpus_;
    std::uint64_t last_ = 0, lost_ = 0, unknown_ = 0;
};

} // namespace streak::debug
