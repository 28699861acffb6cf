// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace streak::base {

/// All of `text` as a number; nothing when there is anything else in it, or when it is too large for its type.
template <class Number = std::uint64_t>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text, int base = 10) {
    Number n{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n, base);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return n;
}

/// Adds the two digits of a byte.
inline void append_hex(std::string& to, char byte) {
    constexpr char digits[] = "0123456789abcdef";
    to.append({digits[static_cast<unsigned char>(byte) >> 4], digits[byte & 15]});
}

/// Two digits as a byte.
[[nodiscard]] inline std::optional<std::uint8_t> parse_hex(std::string_view digits) {
    return digits.size() == 2 ? parse_number<std::uint8_t>(digits, 16) : std::nullopt;
}

} // namespace streak::base
