// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/uaccess.hpp"

#if !__STDC_HOSTED__

namespace streak::arch {

// The frames of guest entry and return: a few words, inline and in one access. Rules as in arch/uaccess.hpp.

/// Copies `count` words to the guest's memory; false on a fault.
template <u64 count>
[[nodiscard, gnu::always_inline]] inline bool push_words_to_guest(Vaddr to, const u64* from) {
    u64 at = to.raw(), words = count;
    if (!guest_range_ok(at, count * sizeof(u64))) [[unlikely]]
        return false;
    asm volatile goto(STREAK_STAC "1: rep movsq\n" STREAK_CLAC EXTABLE(1b, %l[fault])
             : "+&D"(at), "+&S"(from), "+&c"(words) : : "memory" : fault);
    return true;
fault:
    asm volatile(STREAK_CLAC ::: "memory");
    return false;
}

/// Copies `count` words from the guest's memory; false on a fault.
template <u64 count>
[[nodiscard, gnu::always_inline]] inline bool pop_words_from_guest(u64* to, Vaddr from) {
    u64 at = from.raw(), words = count;
    if (!guest_range_ok(at, count * sizeof(u64))) [[unlikely]]
        return false;
    asm volatile goto(STREAK_STAC "1: rep movsq\n" STREAK_CLAC EXTABLE(1b, %l[fault])
             : "+&D"(to), "+&S"(at), "+&c"(words) : : "memory" : fault);
    return true;
fault:
    asm volatile(STREAK_CLAC ::: "memory");
    return false;
}

} // namespace streak::arch

#endif
