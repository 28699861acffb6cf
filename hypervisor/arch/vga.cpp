// SPDX-License-Identifier: GPL-2.0-only
#include "arch/vga.hpp"

#include <cstring>

#include "arch/font.hpp"
#include "arch/layout.hpp"
#include "lib/log.hpp"

namespace streak::vga {

namespace {

enum class Mode : u8 { none, text, pixels };

constexpr u64 text_memory = 0xb8000;
constexpr u8 attribute = 0x07;
constexpr u32 grey = 0xaaaaaa;
constexpr u32 max_columns = 256, max_rows = 96; ///< of a frame buffer; the rest of a larger one stays black

constinit Mode mode = Mode::none;
constinit u32 columns = 80, rows = 25, column = 0, row = 0;
constinit u8* memory = nullptr;
constinit loader::Framebuffer screen{};
constinit u32 foreground = 0;
constinit char shown[max_rows][max_columns]{}; ///< what a frame buffer shows: reading it back is slow

[[nodiscard]] u16* cell(u32 x, u32 y) { return reinterpret_cast<u16*>(memory) + y * columns + x; }

[[nodiscard]] u32 pixel_bytes() { return (screen.bits_per_pixel + 7u) / 8; }

void draw(u32 x, u32 y, char c) {
    const u8* glyph = font::glyph(c);
    for (u32 line = 0; line < font::height; ++line) {
        u8* at = memory + static_cast<u64>(y * font::height + line) * screen.pitch +
                 static_cast<u64>(x) * font::width * pixel_bytes();
        for (u32 dot = 0; dot < font::width; ++dot, at += pixel_bytes()) {
            const u32 colour = glyph[line] >> (7 - dot) & 1 ? foreground : 0;
            std::memcpy(at, &colour, pixel_bytes());
        }
    }
}

void show(u32 x, u32 y, char c) {
    if (shown[y][x] == c) return;
    shown[y][x] = c;
    draw(x, y, c);
}

/// A frame buffer scrolls by several lines at once, and only what differs is drawn.
void scroll() {
    const u32 lines = mode == Mode::text ? 1 : rows / 4 + 1;
    row = rows - lines;
    if (mode == Mode::text) {
        std::memmove(cell(0, 0), cell(0, 1), (rows - 1) * columns * 2);
        return;
    }
    for (u32 y = 0; y < rows; ++y)
        for (u32 x = 0; x < columns; ++x) show(x, y, y + lines < rows ? shown[y + lines][x] : ' ');
}

void new_line() {
    column = 0;
    if (++row >= rows) scroll();
    if (mode == Mode::text)
        for (u32 x = 0; x < columns; ++x) *cell(x, row) = attribute << 8 | ' ';
}

void put(char c) {
    if (c == '\n') {
        new_line();
        return;
    }
    if (c == '\r') {
        column = 0;
        return;
    }
    if (column == columns) new_line();
    if (mode == Mode::text) *cell(column, row) = static_cast<u16>(attribute << 8 | static_cast<u8>(c));
    else show(column, row, c);
    ++column;
}

void write(std::string_view text) {
    if (mode == Mode::none) return;
    for (const char c : text) put(c);
}

constinit LogSink sink{write};

[[nodiscard]] u32 scaled(u8 value, loader::Framebuffer::Channel channel) {
    const u32 bits = channel.bits < 8 ? channel.bits : 8;
    return static_cast<u32>(value >> (8 - bits)) << channel.position;
}

void start_text(u64 address, u32 width, u32 height) {
    mode = Mode::text;
    memory = arch::direct_map<u8>(Maddr(address));
    columns = width;
    rows = height;
    column = 0;
    row = rows - 1;
    new_line();
}

[[nodiscard]] bool start_pixels(const loader::Framebuffer& found, void* pixels) {
    const bool usable = found.bits_per_pixel == 15 || found.bits_per_pixel == 16 || found.bits_per_pixel == 24 ||
                        found.bits_per_pixel == 32;
    if (!pixels || !usable || found.width < font::width || found.height < font::height) return false;
    mode = Mode::pixels;
    screen = found;
    memory = static_cast<u8*>(pixels);
    columns = found.width / font::width < max_columns ? found.width / font::width : max_columns;
    rows = found.height / font::height < max_rows ? found.height / font::height : max_rows;
    foreground =
        scaled(grey >> 16, found.red) | scaled(grey >> 8 & 0xff, found.green) | scaled(grey & 0xff, found.blue);
    for (u32 y = 0; y < found.height; ++y)
        std::memset(memory + static_cast<u64>(y) * found.pitch, 0, found.width * pixel_bytes());
    std::memset(shown, ' ', sizeof shown);
    column = row = 0;
    return true;
}

} // namespace

void init(const std::optional<loader::Framebuffer>& found, void* pixels) {
    constexpr u8 rgb = 1, ega_text = 2;
    if (!found) start_text(text_memory, 80, 25);
    else if (found->type == ega_text && found->address < 0x100000 && found->width != 0 && found->height > 1)
        start_text(found->address, found->width, found->height);
    else if (found->type != rgb || !start_pixels(*found, pixels)) return;
    add_log_sink(sink);
}

} // namespace streak::vga
