// SPDX-License-Identifier: GPL-2.0-only
#include "config/values.hpp"

#include <algorithm>
#include <bitset>

#include <arpa/inet.h>
#include <net/if.h>

namespace streak::config {

namespace {

using CpuSet = std::bitset<max_cpus>;

/// Takes one item, "3", "0-3" or "^2", into `set`; returns what is wrong with it.
std::string add_cpu_item(CpuSet& set, std::string_view item) {
    const bool exclude = item.starts_with('^');
    if (exclude) item.remove_prefix(1);
    const std::size_t dash = exclude ? item.npos : item.find('-');
    const auto first = parse_number(item.substr(0, dash));
    const auto last = dash == item.npos ? first : parse_number(item.substr(dash + 1));
    if (!first || !last) return "expected CPUs such as 0-3,^2,7; found " + quoted(item);
    if (*first > *last) return cat("the range ", quoted(item), " ends before it begins");
    if (*last >= max_cpus) return cat("expected CPUs below ", max_cpus, "; found ", *last);
    for (std::uint64_t cpu = *first; cpu <= *last; ++cpu) set[cpu] = !exclude;
    return {};
}

} // namespace

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const std::size_t first = text.find_first_not_of(blanks);
    return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::optional<std::int64_t> parse_signed(std::string_view text) {
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    return base::parse_number<std::int64_t>(text);
}

std::optional<std::uint64_t> unit_bytes(std::string_view unit) {
    std::string lower(unit);
    for (char& c : lower) c = 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower.empty()) return 1024;
    if (lower == "b" || lower == "byte" || lower == "bytes") return 1;
    const std::size_t power = std::string_view("kmgtpe").find(lower.front());
    const std::string_view rest = std::string_view(lower).substr(1);
    if (power == std::string_view::npos || (!rest.empty() && rest != "b" && rest != "ib")) return std::nullopt;
    std::uint64_t bytes = 1;
    for (std::size_t i = 0; i <= power; ++i) bytes *= rest == "b" ? 1000 : 1024;
    return bytes;
}

std::expected<CpuList, std::string> parse_cpu_list(std::string_view text) {
    if (text.size() > max_cpus * 5) return std::unexpected(cat("expected at most ", max_cpus * 5, " bytes"));
    CpuSet set;
    for (text = trimmed(text);;) {
        const std::size_t comma = text.find(',');
        if (std::string fault = add_cpu_item(set, text.substr(0, comma)); !fault.empty()) return std::unexpected(fault);
        if (comma == text.npos) break;
        text.remove_prefix(comma + 1);
    }
    CpuList cpus;
    for (std::size_t cpu = set._Find_first(); cpu < max_cpus; cpu = set._Find_next(cpu))
        cpus.push_back(static_cast<std::uint32_t>(cpu));
    if (cpus.empty()) return std::unexpected("no CPU is left");
    return cpus;
}

std::string cpu_list_text(const CpuList& cpus) {
    std::string text;
    for (const std::uint32_t cpu : cpus) text += cat(text.empty() ? "" : ",", cpu);
    return text;
}

bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto first = static_cast<unsigned char>(text[i]);
        if (first < 0x80) continue;
        const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || i + more >= text.size()) return false;
        std::uint32_t code = first & (0x3fu >> more);
        for (std::size_t k = 1; k <= more; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            if ((next & 0xc0) != 0x80) return false;
            code = code << 6 | (next & 0x3fu);
        }
        constexpr std::uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
        i += more;
    }
    return true;
}

bool printable(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const bool c1 = c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (c < 0x20 || c == 0x7f || c1) return false;
    }
    return true;
}

std::string shortened(std::string_view text, std::size_t longest) {
    if (text.size() <= longest) return std::string(text);
    while (longest > 0 && (static_cast<unsigned char>(text[longest]) & 0xc0) == 0x80) --longest;
    return std::string(text.substr(0, longest)) + "…";
}

std::string quoted(std::string_view text) {
    std::string shown = shortened(text, 64);
    for (char& c : shown)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    return "'" + shown + "'";
}

bool is_ip_address(std::string_view text) {
    in6_addr address;
    const std::string zero_terminated(text);
    return inet_pton(AF_INET, zero_terminated.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, zero_terminated.c_str(), &address) == 1;
}

std::string device_name_fault(std::string_view name) {
    if (name.empty()) return "the name is empty";
    if (name.size() >= IFNAMSIZ) return cat("expected at most ", IFNAMSIZ - 1, " characters; found ", name.size());
    if (name == "." || name == ".." || !printable(name) || name.find_first_of(" /:") != name.npos)
        return "expected a network device's name, without blanks, '/' and ':'";
    return {};
}

std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before, above(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before = above;
        std::swap(above, row);
    }
    return above[b.size()];
}

} // namespace streak::config
