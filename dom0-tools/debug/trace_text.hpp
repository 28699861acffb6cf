// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <set>
#include <string>

#include "debug/trace_events.hpp"

// Events for people and for browsers. Pure.

namespace streak::debug {

// ---- Names (call_names.cpp) ----

/// Numbers above 9 in hexadecimal.
[[nodiscard]] std::string number_text(std::uint64_t number);
/// "event_channel_op", or "hypercall 63" for one that doesn't exist.
[[nodiscard]] std::string call_name(std::uint32_t number);
/// "event_channel_op(send, 0x7ffe)": names for operations that the first argument tells.
[[nodiscard]] std::string call_text(std::uint32_t number, std::span<const std::uint64_t> arguments);
/// "#PF" and the like, or "vector 77".
[[nodiscard]] std::string trap_name(std::uint32_t vector);
/// "0", "-22 (EINVAL)", "0x1f400000", or "goes on" for a preempted call.
[[nodiscard]] std::string result_text(std::uint64_t result);

// ---- Events ----

/// TSC ticks as time.
struct TraceClock {
    std::uint64_t first = 0; ///< time 0
    std::uint64_t khz = 1'000'000;

    [[nodiscard]] std::uint64_t ns(std::uint64_t ticks) const {
        return static_cast<std::uint64_t>(static_cast<double>(ticks) * 1e6 / static_cast<double>(khz));
    }
    /// Events from before time 0 are at time 0.
    [[nodiscard]] std::uint64_t at(std::uint64_t tsc) const { return tsc > first ? ns(tsc - first) : 0; }
};

/// "d1v0", "idle", "d?v?".
[[nodiscard]] std::string vcpu_text(const TraceVcpu& vcpu);
/// A line: time, CPU, vCPU, what happened.
[[nodiscard]] std::string event_line(const TraceEvent& event, const TraceClock& clock);

/// The trace-event format that Perfetto and Chrome's about:tracing read: a track for each vCPU, grouped by domain, with its
/// calls and exceptions, and one for each CPU with what it runs. Pieces of one JSON object.
class ChromeTrace {
public:
    explicit ChromeTrace(const TraceClock& clock) : clock_(clock) {}
    [[nodiscard]] static std::string begin() {
        return R"({"schema":"streak.trace/1","displayTimeUnit":"ns","traceEvents":[)";
    }
    [[nodiscard]] std::string add(const TraceEvent& event);
    [[nodiscard]] std::string end(std::uint64_t lost) const { return "\n],\"lost\":" + std::to_string(lost) + "}\n"; }

private:
    [[nodiscard]] std::string name_track(std::uint32_t process, std::uint32_t thread);
    [[nodiscard]] std::string entry(const TraceEvent& event, const std::string& name, const std::string& arguments,
                                    bool on_cpu_track);

    TraceClock clock_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> named_;
    bool any_ = false;
};

} // namespace streak::debug
