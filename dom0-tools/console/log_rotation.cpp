// SPDX-License-Identifier: GPL-2.0-only
#include "console/log_rotation.hpp"

#include <algorithm>

namespace streak::console {

namespace {

constexpr std::string_view suffix = ".log";
constexpr std::size_t uuid_letters = 36;

} // namespace

std::string log_name(const base::Uuid& uuid) { return uuid.text().append(suffix); }

std::vector<std::pair<std::string, std::string>> rotation(const std::string& path, unsigned old_files) {
    std::vector<std::pair<std::string, std::string>> renames;
    for (unsigned number = old_files; number > 0; --number) {
        const std::string from = number == 1 ? path : path + "." + std::to_string(number - 1);
        renames.emplace_back(from, path + "." + std::to_string(number));
    }
    return renames;
}

std::optional<base::Uuid> owner_of(std::string_view name) {
    if (name.size() < uuid_letters + suffix.size() || name.substr(uuid_letters, suffix.size()) != suffix) return {};
    const std::string_view rest = name.substr(uuid_letters + suffix.size());
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const bool old = rest.size() > 1 && rest[0] == '.' && std::ranges::all_of(rest.substr(1), is_digit);
    if (!rest.empty() && !old) return {};
    return base::Uuid::parse(name.substr(0, uuid_letters));
}

std::vector<std::string> surplus(std::vector<LogEntry> entries, std::uint64_t limit,
                                 const std::function<bool(const base::Uuid&)>& lives) {
    std::erase_if(entries, [&](const LogEntry& entry) {
        const auto owner = owner_of(entry.name);
        return !owner || lives(*owner);
    });
    std::ranges::sort(entries, std::greater{}, [](const LogEntry& e) { return std::pair(e.changed, e.name); });
    std::vector<std::string> names;
    std::uint64_t kept = 0;
    for (const LogEntry& entry : entries) {
        kept += entry.bytes;
        if (kept > limit) names.push_back(entry.name);
    }
    return names;
}

} // namespace streak::console
