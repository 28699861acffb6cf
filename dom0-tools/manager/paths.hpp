// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/uuid.hpp"

namespace streak::manager {

/// Where streakd keeps its files (docs/toolstack.md).
struct Paths {
    std::filesystem::path root; ///< "/", or a directory of a test

    [[nodiscard]] std::filesystem::path definitions() const { return root / "var/lib/streak/definitions"; }
    [[nodiscard]] std::filesystem::path domains() const { return root / "run/streak/domains"; }
    [[nodiscard]] std::filesystem::path journal() const { return root / "run/streak/journal"; }
    [[nodiscard]] std::filesystem::path events() const { return root / "run/streak/events"; }
    [[nodiscard]] std::filesystem::path autostarted() const { return root / "run/streak/autostarted"; }
    [[nodiscard]] std::filesystem::path socket() const { return root / "run/streak/api.sock"; }
    [[nodiscard]] std::filesystem::path store_socket() const { return root / "run/xenstored/socket"; }
    [[nodiscard]] std::filesystem::path console_log(const base::Uuid& uuid) const {
        return root / "var/log/streak/console" / (uuid.text() + ".log");
    }
};

enum class Durable : bool { no, yes };

/// Replaces a file at once: readers see the old or the new content. `durable`: on the disk before it returns.
[[nodiscard]] base::Outcome<> replace_file(const std::filesystem::path& file, std::string_view content,
                                           Durable durable = Durable::no);
[[nodiscard]] base::Outcome<std::string> read_file(const std::filesystem::path& file);
void remove_file(const std::filesystem::path& file);
[[nodiscard]] base::Outcome<> make_directory(const std::filesystem::path& directory);

} // namespace streak::manager
