// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/uaccess.hpp"

#if !__STDC_HOSTED__

namespace streak::arch {

// (The formatter takes %l[fault] apart.)
// clang-format off

// The frames of guest entry and return, word by word and without a copy in between: the hottest guest
// accesses. Between open_guest_words() and close_guest_words() the range, checked by guest_range_ok(), is
// read and written.

[[gnu::always_inline]] inline void open_guest_words() { asm volatile(STREAK_STAC ::: "memory"); }
[[gnu::always_inline]] inline void close_guest_words() { asm volatile(STREAK_CLAC ::: "memory"); }

/// Writes word `index` at `at`; false on a fault.
template <unsigned index> [[nodiscard, gnu::always_inline]] inline bool put_guest_word(u64 at, u64 value) {
    asm volatile goto("1: movq %1, %c2(%0)\n" EXTABLE(1b, %l[fault])
                      : : "r"(at), "r"(value), "i"(index * sizeof(u64)) : : fault);
    return true;
fault:
    return false;
}

/// Reads word `index` at `at`; false on a fault.
template <unsigned index> [[nodiscard, gnu::always_inline]] inline bool get_guest_word(u64 at, u64& value) {
    u64 word;
    asm volatile goto("1: movq %c2(%1), %0\n" EXTABLE(1b, %l[fault])
                      : "=r"(word) : "r"(at), "i"(index * sizeof(u64)) : : fault);
    asm("");
    value = word;
    return true;
fault:
    return false;
}

// clang-format on

} // namespace streak::arch

#endif
