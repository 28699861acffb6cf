// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"
#include "loader/multiboot2.hpp"

// The log on the screen: EGA/VGA text memory, or a linear RGB frame buffer with a small font.

namespace streak::vga {

/// Starts logging to the screen GRUB has left; without a frame-buffer tag VGA text is assumed. `pixels`: where a
/// frame buffer (type 1) is mapped.
void init(const std::optional<loader::Framebuffer>& screen, void* pixels);

} // namespace streak::vga
