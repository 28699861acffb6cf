// SPDX-License-Identifier: GPL-2.0-only
#include "lib/build_info.hpp"

#include <algorithm>

extern "C" const streak::u8 __build_id_start[], __build_id_end[];

namespace streak::build_info {

namespace {
constinit std::array<char, 1024> command_line_text{};
constinit std::size_t command_line_size = 0;
constexpr std::size_t note_header_bytes = 16; ///< Elf64_Nhdr and the name "GNU"
} // namespace

std::span<const u8> build_id() {
    const std::span<const u8> note(__build_id_start, __build_id_end);
    return note.size() > note_header_bytes ? note.subspan(note_header_bytes) : std::span<const u8>{};
}

std::array<char, 40> build_id_text() {
    std::array<char, 40> text{};
    std::size_t length = 0;
    for (const u8 byte : build_id())
        for (const unsigned digit : {byte >> 4, byte & 15})
            if (length < text.size()) text[length++] = "0123456789abcdef"[digit];
    return text;
}

std::string_view command_line() { return {command_line_text.data(), command_line_size}; }

void set_command_line(std::string_view text) {
    command_line_size = std::min(text.size(), command_line_text.size());
    std::copy_n(text.begin(), command_line_size, command_line_text.begin());
}

} // namespace streak::build_info
