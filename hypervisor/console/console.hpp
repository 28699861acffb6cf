// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <span>
#include <string_view>

#include "lib/ids.hpp"
#include "lib/types.hpp"

// The machine's console as domains and people use it: dom0's output and input, and the debug keys.
// Sinks (serial port, screen) belong to lib/log.

namespace streak::console {

/// Output of the control domain, as it is.
void write(std::string_view text);

/// Input that waits for the control domain; the number of characters copied.
[[nodiscard]] u32 read(std::span<char> to);

/// One character from the keyboard of the console (serial port). Three times Ctrl-A switches between dom0 and the
/// debug keys.
void receive(char c);

/// Takes what the serial port has received; Work::console.
void serve_input();

/// Does what the key stands for; false: no such key. (debug_keys.cpp)
bool debug_key(char key);

} // namespace streak::console
