// SPDX-License-Identifier: GPL-2.0-only
//
// The story: STREAK_BREAK() stops Bochs at its debugger's prompt. Everywhere else it has to do nothing: no trap, no register
// or flag changed.

#include "lib/debug_break.hpp"

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

GUEST("debug-break") {
    constexpr u64 before = 0x1122334455667788;
    u64 after = 0;
    const auto trap = catch_trap([&] {
        register u64 value asm("rbx") = before;
        asm volatile("" : "+r"(value));
        STREAK_BREAK();
        asm volatile("" : "+r"(value));
        after = value;
    });
    expect(!trap.taken, "no trap");
    expect_eq(after, before, "RBX stays");
}
