// SPDX-License-Identifier: GPL-2.0-only
#include "cli/text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <set>

#include "base/text.hpp"
#include "config/values.hpp"

namespace streak::cli {
namespace {

std::string with_decimal(double value) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.1f", value);
    return buffer;
}

std::string two_units(std::uint64_t large, const char* large_name, std::uint64_t small, const char* small_name) {
    return std::to_string(large) + ' ' + large_name + (small < 10 ? " 0" : " ") + std::to_string(small) + ' ' +
           small_name;
}

/// log2 of KiB in a unit, or nothing.
std::optional<unsigned> unit_shift(std::string_view unit) {
    static constexpr std::string_view letters = "KMGT";
    if (unit.empty() || (unit.substr(1) != "" && unit.substr(1) != "iB" && unit.substr(1) != "ib")) return {};
    const auto place = letters.find(static_cast<char>(unit[0] & ~0x20));
    if (place == std::string_view::npos) return {};
    return static_cast<unsigned>(place) * 10;
}

/// How many columns UTF-8 text takes, every character taken as one wide.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

} // namespace

std::string memory_text(std::uint64_t kib) {
    static constexpr const char* units[] = {" KiB", " MiB", " GiB", " TiB"};
    unsigned unit = 0;
    while (unit < 3 && kib >> (10 * (unit + 1)) != 0) ++unit;
    const double value = static_cast<double>(kib) / static_cast<double>(std::uint64_t{1} << (10 * unit));
    return (value == std::floor(value) ? std::to_string(static_cast<std::uint64_t>(value)) : with_decimal(value)) +
           units[unit];
}

std::string duration_text(std::uint64_t ns) {
    const std::uint64_t seconds = ns / 1'000'000'000;
    if (seconds < 60) return with_decimal(static_cast<double>(ns / 100'000'000) / 10) + " s";
    if (seconds < 3600) return two_units(seconds / 60, "min", seconds % 60, "s");
    if (seconds < 86400) return two_units(seconds / 3600, "h", seconds / 60 % 60, "min");
    return two_units(seconds / 86400, "d", seconds / 3600 % 24, "h");
}

Outcome<std::uint64_t> parse_memory(std::string_view text) {
    const auto refuse = [&](std::string found) {
        return base::error(base::ErrorKind::usage, "'" + printable(text) + "' is no amount of memory",
                           "a number with its unit, such as 128M, 1.5G or 65536K", std::move(found));
    };
    double value = 0;
    const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (code != std::errc{}) return refuse("no number");
    const std::string_view unit(rest, text.data() + text.size());
    if (unit.empty()) return refuse("a number without a unit");
    const auto shift = unit_shift(unit);
    if (!shift) return refuse("the unit '" + printable(unit) + "'");
    const double kib = std::ldexp(value, static_cast<int>(*shift));
    if (!(kib > 0)) return refuse("nothing");
    if (kib != std::floor(kib) || kib > 0x1p53) return refuse("not a whole number of KiB");
    return static_cast<std::uint64_t>(kib);
}

Outcome<std::uint32_t> parse_number(std::string_view what, std::string_view text, std::uint32_t least,
                                    std::uint32_t most) {
    const auto value = base::parse_number<std::uint32_t>(text);
    if (value && *value >= least && *value <= most) return *value;
    return base::error(base::ErrorKind::usage, "bad " + std::string(what),
                       "a number from " + std::to_string(least) + " to " + std::to_string(most),
                       "'" + printable(text) + "'");
}

Outcome<std::vector<std::uint32_t>> parse_cpus(std::string_view text) {
    constexpr std::uint32_t most = 4095;
    std::set<std::uint32_t> cpus;
    while (true) {
        const auto comma = text.find(',');
        const auto part = text.substr(0, comma);
        const auto dash = part.find('-');
        TRY_ASSIGN(first, parse_number("list of CPUs", part.substr(0, dash), 0, most));
        const auto end = dash == part.npos ? part : part.substr(dash + 1);
        TRY_ASSIGN(last, parse_number("list of CPUs", end, first, most));
        for (std::uint32_t cpu = first; cpu <= last; ++cpu) cpus.insert(cpu);
        if (comma == text.npos) return std::vector(cpus.begin(), cpus.end());
        text.remove_prefix(comma + 1);
    }
}

std::string cpus_text(const std::vector<std::uint32_t>& cpus) {
    std::string all;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t end = i + 1;
        while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
        if (!all.empty()) all += ',';
        all += std::to_string(cpus[i]);
        if (end - i > 1) all += '-' + std::to_string(cpus[end - 1]);
        i = end;
    }
    return all;
}

std::string printable(std::string_view text) {
    std::string all;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        // U+0080 to U+009F steer terminals, too.
        const bool second = byte >= 0x80 && byte < 0xA0 && all.ends_with('\xC2');
        if (second) all.replace(all.size() - 1, 1, "\\xc2");
        if (second || byte < 0x20 || byte == 0x7F) base::append_hex(all += "\\x", c);
        else all += c;
    }
    return all;
}

std::string percent_encoded(std::string_view text) {
    static constexpr std::string_view plain = "-._~:", digits = "0123456789ABCDEF";
    std::string all;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (alphanumeric || plain.contains(c)) all += c;
        else all += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    return all;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
    std::string_view best;
    std::size_t fewest = std::max<std::size_t>(1, (word.size() + 1) / 3) + 1;
    for (const auto candidate : candidates)
        if (const auto changes = config::distance(word, candidate); changes < fewest) {
            fewest = changes;
            best = candidate;
        }
    return best;
}

Table::Table(std::initializer_list<std::string_view> headings) {
    std::vector<std::string> cells;
    for (auto heading : headings) {
        right_.push_back(heading.starts_with('>'));
        cells.emplace_back(heading.substr(right_.back() ? 1 : 0));
    }
    rows_.push_back(std::move(cells));
}

void Table::row(std::vector<std::string> cells) {
    for (auto& cell : cells) cell = printable(cell);
    cells.resize(right_.size());
    rows_.push_back(std::move(cells));
}

std::string Table::text() const {
    std::vector<std::size_t> widths(right_.size());
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    std::string all;
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string gap(widths[i] - width(row[i]), ' ');
            line += (i == 0 ? "" : "  ") + (right_[i] ? gap + row[i] : row[i] + gap);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        all += line + '\n';
    }
    return all;
}

std::string labelled(const std::vector<std::pair<std::string, std::string>>& lines) {
    std::size_t widest = 0;
    for (const auto& [label, value] : lines)
        if (!value.empty()) widest = std::max(widest, width(label));
    std::string all;
    for (const auto& [label, value] : lines)
        if (!value.empty()) all += label + ':' + std::string(widest - width(label) + 2, ' ') + printable(value) + '\n';
    return all;
}

} // namespace streak::cli
