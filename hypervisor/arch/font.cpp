// SPDX-License-Identifier: GPL-2.0-only
#include "arch/font.hpp"

namespace streak::font {

namespace {

constexpr char first = ' ', last = '~';

constexpr u8 glyphs[last - first + 1][height] = {
#include "font_8x16.h"
};
constexpr u8 box[height] = {0, 0, 0xfe, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0xfe, 0, 0};

} // namespace

const u8* glyph(char c) { return c >= first && c <= last ? glyphs[c - first] : box; }

} // namespace streak::font
