// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <string>
#include <vector>

#include "hv/port.hpp"

// The hypervisor's counters of hypercalls (XEN_SYSCTL_perfc_op, docs/abi.md).

namespace streak::debug {

inline constexpr std::size_t call_numbers = 64, call_lengths = 30;

/// Modulo 2^32, by hypercall number.
struct CallCounters {
    std::array<std::uint32_t, call_numbers> calls, ticks_1024; ///< how many; units of 1024 TSC ticks that they took
    /// How many took less than 2^6 ticks, less than 2^7, …
    std::array<std::array<std::uint32_t, call_numbers>, call_lengths> shorter;
};

/// EOPNOTSUPP: the hypervisor has other counters.
[[nodiscard]] Result<CallCounters> read_counters(hv::Port& port);
/// Begins to count unless it does so already; what has been counted stays then, for others who read it.
[[nodiscard]] Result<CallCounters> begin_counting(hv::Port& port);

/// One hypercall in a time.
struct CallUse {
    std::uint32_t number = 0, calls = 0;
    double per_second = 0, share = 0;           ///< share of the CPUs' time, 0 to 1
    double mean_ns = 0, p50_ns = 0, p99_ns = 0; ///< percentiles: upper bounds, next powers of two
};

/// What happened between two readings, `seconds` apart; those that took most time first.
[[nodiscard]] std::vector<CallUse> use_between(const CallCounters& before, const CallCounters& now, double seconds,
                                               std::uint64_t khz, std::uint32_t cpus);

} // namespace streak::debug
