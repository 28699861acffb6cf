// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <utility>

#include "lib/types.hpp"

namespace streak::console {

/// Who gets the next character.
enum class Focus : u8 { control_domain, debug_keys };

/// Follows the switch sequence: three Ctrl-A in a row. Ctrl-A's that may become one are held back.
class FocusSwitch {
public:
    static constexpr char switch_key = 1; ///< Ctrl-A
    static constexpr unsigned presses = 3;

    struct Step {
        bool switched;    ///< the focus has changed; `c` is nobody's input
        bool held;        ///< `c` waits for what comes next
        unsigned overdue; ///< Ctrl-A's held so far that go to the focus before `c`
    };
    Step feed(char c) {
        if (c != switch_key) return {false, false, std::exchange(count_, 0)};
        if (++count_ < presses) return {false, true, 0};
        count_ = 0;
        focus_ = focus_ == Focus::control_domain ? Focus::debug_keys : Focus::control_domain;
        return {true, false, 0};
    }
    [[nodiscard]] Focus focus() const { return focus_; }

private:
    unsigned count_ = 0;
    Focus focus_ = Focus::control_domain;
};

/// Characters between the serial port and dom0; a full ring refuses, it never overwrites.
class InputRing {
public:
    [[nodiscard]] bool push(char c) {
        if (head_ - tail_ == size) return false;
        data_[head_++ % size] = c;
        return true;
    }
    [[nodiscard]] bool pop(char& c) {
        if (head_ == tail_) return false;
        c = data_[tail_++ % size];
        return true;
    }

private:
    static constexpr u32 size = 4096;
    std::array<char, size> data_{};
    u32 head_ = 0, tail_ = 0;
};

} // namespace streak::console
