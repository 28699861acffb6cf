// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/failure.hpp"

// Words and figures as people read and type them. Pure.

namespace streak::cli {

/// "128 MiB", "1.5 GiB"; exact, or rounded to one decimal.
[[nodiscard]] std::string memory_text(std::uint64_t kib);
/// "0.4 s", "12.3 s", "5 min 02 s", "3 h 07 min", "2 d 01 h".
[[nodiscard]] std::string duration_text(std::uint64_t ns);

/// "128M", "128MiB", "1.5G", "4096KiB" as KiB. Usage errors: no unit, no number, nothing, not a whole number of KiB.
[[nodiscard]] Outcome<std::uint64_t> parse_memory(std::string_view text);
/// "0-3,5" as numbers in order, each once.
[[nodiscard]] Outcome<std::vector<std::uint32_t>> parse_cpus(std::string_view text);
/// The reverse of parse_cpus().
[[nodiscard]] std::string cpus_text(const std::vector<std::uint32_t>& cpus);
/// A number between two bounds. Usage error otherwise, about `what`.
[[nodiscard]] Outcome<std::uint32_t> parse_number(std::string_view what, std::string_view text, std::uint32_t least,
                                                  std::uint32_t most);

/// Control characters as \xNN, so that names from guests cannot steer the terminal.
[[nodiscard]] std::string printable(std::string_view text);
[[nodiscard]] std::string percent_encoded(std::string_view text);

/// The candidate with the fewest changes from `word`, or "" when none is near.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// Columns; those whose heading starts with '>' have their text on the right.
class Table {
public:
    explicit Table(std::initializer_list<std::string_view> headings);
    void row(std::vector<std::string> cells);
    [[nodiscard]] bool empty() const { return rows_.size() == 1; }
    /// Lines without spaces at their ends.
    [[nodiscard]] std::string text() const;

private:
    std::vector<bool> right_;
    std::vector<std::vector<std::string>> rows_;
};

/// "name:   value" lines, the values below each other; lines without a value are left out.
[[nodiscard]] std::string labelled(const std::vector<std::pair<std::string, std::string>>& lines);

} // namespace streak::cli
