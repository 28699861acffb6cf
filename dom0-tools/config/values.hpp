// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/text.hpp"
#include "config/definition.hpp"

// The forms of single values.

namespace streak::config {

inline constexpr std::uint64_t min_memory_kib = 1024;
inline constexpr std::uint64_t max_memory_kib = std::uint64_t{16} << 30; ///< 16 TiB
inline constexpr std::uint32_t max_vcpus = 128;
inline constexpr std::uint32_t max_cpus = 4096; ///< of a host
inline constexpr std::size_t max_devices = 128; ///< of one sort
inline constexpr std::size_t max_command_line = 1023;
inline constexpr std::size_t max_path = 4095;
inline constexpr std::uint32_t max_grant_frames = 65'535, max_event_channels = 131'072;
inline constexpr std::uint64_t max_kib_per_s = std::uint64_t{1} << 31;

/// The parts, texts and numbers, one after the other.
template <class... Parts> [[nodiscard]] std::string cat(const Parts&... parts) {
    std::string all;
    const auto add = [&all](const auto& part) {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) all += std::to_string(part);
        else all += part;
    };
    (add(parts), ...);
    return all;
}

[[nodiscard]] std::string_view trimmed(std::string_view text);
using base::parse_number;
/// As parse_number(), with a sign.
[[nodiscard]] std::optional<std::int64_t> parse_signed(std::string_view text);
/// Bytes of one `unit` (b, KB, KiB, … in any case, EiB at most); empty: KiB.
[[nodiscard]] std::optional<std::uint64_t> unit_bytes(std::string_view unit);
/// "0-3,^2,7", sorted; the error says what is wrong with it.
[[nodiscard]] std::expected<CpuList, std::string> parse_cpu_list(std::string_view text);
[[nodiscard]] std::string cpu_list_text(const CpuList& cpus);
/// Well-formed UTF-8, as JSON needs it.
[[nodiscard]] bool is_utf8(std::string_view text);
/// UTF-8 without control characters.
[[nodiscard]] bool printable(std::string_view text);
/// At most `longest` bytes of UTF-8, and "…" when there were more.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t longest);
/// "'text'", cut short and made printable, for messages.
[[nodiscard]] std::string quoted(std::string_view text);
/// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
[[nodiscard]] std::size_t distance(std::string_view a, std::string_view b);
/// An IPv4 or IPv6 address.
[[nodiscard]] bool is_ip_address(std::string_view text);
/// What is wrong with the name of a network device; empty: nothing.
[[nodiscard]] std::string device_name_fault(std::string_view name);

} // namespace streak::config
