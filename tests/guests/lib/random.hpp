// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "tests/guests/lib/cpu.hpp"

namespace guest {

/// Repeatable pseudo-random numbers (xorshift).
class Random {
public:
    explicit constexpr Random(u64 seed) : seed_(seed), state_(seed) {}

    u64 seed() const { return seed_; }

    u64 next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }

    /// A number in [0, limit).
    unsigned below(unsigned limit) { return static_cast<unsigned>(next() >> 20) % limit; }

private:
    u64 seed_;
    u64 state_;
};

/// The seed given on the command line as seed=N, or one from the time stamp counter; never 0.
inline u64 choose_seed() {
    std::string_view line(reinterpret_cast<const char*>(boot_info().cmd_line));
    const auto at = line.find("seed=");
    if (at == std::string_view::npos) return rdtsc() | 1;
    line.remove_prefix(at + 5);
    u64 seed = 0;
    for (char c : line) {
        if (c < '0' || c > '9') break;
        seed = seed * 10 + static_cast<u64>(c - '0');
    }
    return seed != 0 ? seed : 1;
}

} // namespace guest
