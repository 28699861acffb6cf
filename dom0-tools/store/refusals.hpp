// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/ids.hpp"

namespace streak::store {

/// Says each refusal by a quota, without giving a guest the means to fill the log: the first at once, those that follow
/// within the next seconds together.
class RefusalLog {
public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds together{10};

    /// A line to log now; empty: it will be among those of due().
    [[nodiscard]] std::string refused(DomId domain, std::string_view quota, std::size_t value, Time now);
    /// Lines for what was not said yet, once the time has come.
    [[nodiscard]] std::vector<std::string> due(Time now);
    /// There is something that was not said yet.
    [[nodiscard]] bool waiting() const;

private:
    struct Entry {
        Time since{};
        std::size_t more = 0, value = 0;
    };
    std::map<std::pair<DomId, std::string>, Entry> entries_;
};

} // namespace streak::store
