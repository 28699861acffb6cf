// SPDX-License-Identifier: GPL-2.0-only
#include "store/refusals.hpp"

#include <algorithm>

namespace streak::store {

namespace {

[[nodiscard]] std::string line(DomId domain, std::string_view quota, std::size_t value) {
    return "domain " + std::to_string(domain.raw()) + " is refused: quota " + std::string(quota) + ", value " +
           std::to_string(value);
}

} // namespace

std::string RefusalLog::refused(DomId domain, std::string_view quota, std::size_t value, Time now) {
    const auto [place, fresh] = entries_.try_emplace({domain, std::string(quota)}, Entry{now});
    if (fresh) return line(domain, quota, value);
    ++place->second.more;
    place->second.value = value;
    return {};
}

std::vector<std::string> RefusalLog::due(Time now) {
    std::vector<std::string> lines;
    std::erase_if(entries_, [&](const auto& item) {
        const auto& [of, entry] = item;
        if (now - entry.since < together) return false;
        const std::string more = ", " + std::to_string(entry.more) + " more like it";
        if (entry.more != 0) lines.push_back(line(of.first, of.second, entry.value) + more);
        return true;
    });
    return lines;
}

bool RefusalLog::waiting() const {
    return std::ranges::any_of(entries_, [](const auto& e) { return e.second.more != 0; });
}

} // namespace streak::store
