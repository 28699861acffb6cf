// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

// Whole reads and writes; interrupted ones go on. Failures leave their reason in errno.

namespace streak::base {

[[nodiscard]] bool write_all(int fd, std::string_view bytes);
[[nodiscard]] bool write_all_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset);
/// How many bytes of `into` the file had.
[[nodiscard]] std::optional<std::size_t> read_all_at(int fd, std::span<std::byte> into, std::uint64_t offset);

} // namespace streak::base
