// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

namespace streak::loader {

using Bytes = std::span<const std::byte>;

/// `bytes` bytes from `offset`, or nothing when they aren't all there. No sum can overflow.
[[nodiscard]] constexpr std::optional<Bytes> slice(Bytes data, std::uint64_t offset, std::uint64_t bytes) {
    if (offset > data.size() || bytes > data.size() - offset) return std::nullopt;
    return data.subspan(offset, bytes);
}

/// A copy of the T at `offset`, any alignment.
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::optional<T> read_at(Bytes data, std::uint64_t offset) {
    const auto from = slice(data, offset, sizeof(T));
    if (!from) return std::nullopt;
    T value;
    __builtin_memcpy(&value, from->data(), sizeof value);
    return value;
}

/// The string at the start of `data`, up to its NUL, which must be inside.
[[nodiscard]] inline std::optional<std::string_view> read_string(Bytes data) {
    const auto nul = std::find(data.begin(), data.end(), std::byte{0});
    if (nul == data.end()) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(data.data()), static_cast<std::size_t>(nul - data.begin()));
}

/// Rounds up to a power of two; nothing when the result doesn't fit.
[[nodiscard]] constexpr std::optional<std::uint64_t> align_up(std::uint64_t value, std::uint64_t to) {
    const std::uint64_t sum = value + (to - 1);
    if (sum < value) return std::nullopt;
    return sum & ~(to - 1);
}

} // namespace streak::loader
