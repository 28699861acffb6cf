// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace streak::base {

/// A domain's lasting name (RFC 4122); the hypervisor's domain handle.
struct Uuid {
    std::array<std::uint8_t, 16> bytes{};

    /// 8-4-4-4-12 hexadecimal digits, or 32 without hyphens.
    [[nodiscard]] static std::optional<Uuid> parse(std::string_view text);
    /// A random one (version 4). Does not wait for the kernel's entropy.
    [[nodiscard]] static Uuid random();
    [[nodiscard]] std::string text() const;
    auto operator<=>(const Uuid&) const = default;
};

} // namespace streak::base
