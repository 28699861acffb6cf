// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

namespace streak::console {

/// What a guest may make the daemon do in one period. A guest that floods its console waits for the next period, with
/// its ring full; others never wait for it.
class Allowance {
public:
    static constexpr unsigned turns_per_period = 128; ///< of one ring's content at most
    static constexpr std::uint64_t period_us = 200'000;

    /// Uses one turn up; `now_us` is of any clock that does not go back. False: none is left in this period.
    [[nodiscard]] bool use(std::uint64_t now_us) {
        if (now_us - start_us_ >= period_us) {
            start_us_ = now_us;
            left_ = turns_per_period;
        }
        if (left_ == 0) return false;
        --left_;
        return true;
    }

private:
    std::uint64_t start_us_ = 0;
    unsigned left_ = turns_per_period;
};

} // namespace streak::console
