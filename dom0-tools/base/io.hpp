// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/error.hpp"

// Whole reads and writes; interrupted ones go on. Failures leave their reason in errno.

namespace streak::base {

inline constexpr int interrupted = 4; ///< EINTR, a name that lib/errno.hpp takes away

/// With those above it; one that exists is as good.
[[nodiscard]] Outcome<> make_directory(const std::string& path);

[[nodiscard]] bool write_all(int fd, std::string_view bytes);
[[nodiscard]] bool write_all_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset);
/// How many bytes of `into` the file had.
[[nodiscard]] std::optional<std::size_t> read_all_at(int fd, std::span<std::byte> into, std::uint64_t offset);

} // namespace streak::base
