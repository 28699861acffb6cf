// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace streak::console {

/// Makes of a guest's output what is safe to show on a terminal. UTF-8, tabs and line ends stay (a carriage return
/// before a line feed goes); another control character becomes ^X, a C1 control or a byte that is no UTF-8 \xNN.
/// Pieces of any length may be fed one after the other.
class SafeText {
public:
    void feed(std::string_view raw, std::string& safe);
    /// What was held back, and an end of the line unless there is one.
    void finish_line(std::string& safe);

private:
    void feed(std::uint8_t byte, std::string& safe);
    void release(std::string& safe);

    std::size_t returns_ = 0;   ///< carriage returns held back
    std::uint8_t lead_ = 0;     ///< held back: what follows decides
    unsigned continuation_ = 0; ///< bytes of a UTF-8 sequence that are to come
    bool in_line_ = false;      ///< since the last line feed something was written
};

} // namespace streak::console
