// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/uuid.hpp"

// Which log files there are and for how long. Pure: names in, names out.

namespace streak::console {

struct LogLimits {
    std::uint64_t bytes = 1 << 20;          ///< of one file
    unsigned old_files = 3;                 ///< kept beside it: UUID.log.1 is the newest
    std::uint64_t all_bytes = 256ull << 20; ///< of all files of domains that are no more
};

[[nodiscard]] std::string log_name(const base::Uuid& uuid);

/// The renames, in order, that make room for a new `path`; the last old file is overwritten. None: the file itself is to
/// be emptied, since no old ones are kept.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> rotation(const std::string& path, unsigned old_files);

struct LogEntry {
    std::string name;
    std::int64_t changed = 0; ///< seconds since the epoch
    std::uint64_t bytes = 0;
};
/// The domain whose log, or whose old log, a file is; nothing: it is another file.
[[nodiscard]] std::optional<base::Uuid> owner_of(std::string_view name);
/// The files that have to go so that those of domains that are no more stay within `limit` bytes: the oldest.
[[nodiscard]] std::vector<std::string> surplus(std::vector<LogEntry> entries, std::uint64_t limit,
                                               const std::function<bool(const base::Uuid&)>& lives);

} // namespace streak::console
