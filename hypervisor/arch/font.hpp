// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::font {

inline constexpr u32 width = 8, height = 16;

/// `height` rows, leftmost dot in bit 7; a box for what the font lacks.
[[nodiscard]] const u8* glyph(char c);

} // namespace streak::font
