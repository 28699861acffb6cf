// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "lib/types.hpp"

// What this image says about itself.

namespace streak::build_info {

inline constexpr int major = 4, minor = 17; ///< the ABI's version
inline constexpr std::string_view extra = ".0-streak";
inline constexpr std::string_view compiler = "g++ " __VERSION__;
inline constexpr std::string_view by = "streak", domain, changeset;
inline constexpr std::string_view date = "reproducible build";

/// The linker's build id (SHA-1), empty when the image has none.
[[nodiscard]] std::span<const u8> build_id();
/// The same as 40 hexadecimal digits.
[[nodiscard]] std::array<char, 40> build_id_text();
/// The command line GRUB passed.
[[nodiscard]] std::string_view command_line();
void set_command_line(std::string_view text);

} // namespace streak::build_info
