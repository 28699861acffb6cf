// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/log.hpp"

namespace streak {

/// Stops the machine with registers, backtrace and build id: our own bug, never a guest's.
[[noreturn]] void panic_message(const char* file, unsigned line, const char* text);

/// The machine's part (arch/panic.cpp; hosted tests have their own): stops the other CPUs, prints what this one
/// did, and reboots or halts.
[[noreturn]] void panic_machine();

/// Ends the machine with a formatted reason, e.g. `panic("no memory for {}", what)`.
template <class... Args> [[noreturn]] void panic(const char* format, const Args&... args) {
    log_emergency(format, args...);
    panic_message(nullptr, 0, nullptr);
}

} // namespace streak

/// Always compiled in. Only for conditions that no guest, file or user can make false.
#define ASSERT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) [[unlikely]]                                                                                 \
            ::streak::panic_message(__FILE__, __LINE__, "assertion failed: " #condition);                              \
    } while (0)
