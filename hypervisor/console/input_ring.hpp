// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>

#include "lib/types.hpp"

namespace streak::console {

/// Who gets the next character.
enum class Focus : u8 { control_domain, debug_keys };

/// Follows the switch sequence: three Ctrl-A in a row.
class FocusSwitch {
public:
    static constexpr char switch_key = 1; ///< Ctrl-A
    static constexpr unsigned presses = 3;

    /// True when `c` completed a switch (it is then nobody's input).
    bool feed(char c)
    {
        count_ = c == switch_key ? count_ + 1 : 0;
        if (count_ < presses)
            return false;
        count_ = 0;
        focus_ = focus_ == Focus::control_domain ? Focus::debug_keys : Focus::control_domain;
        return true;
    }
    [[nodiscard]] Focus focus() const { return focus_; }

private:
    unsigned count_ = 0;
    Focus focus_ = Focus::control_domain;
};

/// Characters between the serial port and dom0; a full ring refuses, it never overwrites.
class InputRing {
public:
    [[nodiscard]] bool push(char c)
    {
        if (head_ - tail_ == size)
            return false;
        data_[head_++ % size] = c;
        return true;
    }
    [[nodiscard]] bool pop(char& c)
    {
        if (head_ == tail_)
            return false;
        c = data_[tail_++ % size];
        return true;
    }

private:
    static constexpr u32 size = 4096;
    std::array<char, size> data_{};
    u32 head_ = 0, tail_ = 0;
};

} // namespace streak::console
