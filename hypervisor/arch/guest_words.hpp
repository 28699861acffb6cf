// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/uaccess.hpp"

#if !__STDC_HOSTED__

namespace streak::arch {

// The frames of guest entry and return, word by word and without a copy in between: the hottest guest accesses.

/// A range of guest memory that is accessed by words at fixed offsets while the object lives. The range is checked
/// once; ok() is false for one that no guest may use.
template <unsigned words>
class GuestWords {
public:
    [[gnu::always_inline]] explicit GuestWords(Vaddr at) : at_(at.raw())
    {
        asm volatile(STREAK_STAC ::: "memory");
    }
    [[gnu::always_inline]] ~GuestWords() { asm volatile(STREAK_CLAC ::: "memory"); }
    GuestWords(const GuestWords&) = delete;
    GuestWords& operator=(const GuestWords&) = delete;

    [[nodiscard, gnu::always_inline]] bool ok() const { return guest_range_ok(at_, words * sizeof(u64)); }

    /// Writes a word; false on a fault.
    template <unsigned index>
    [[nodiscard, gnu::always_inline]] bool put(u64 value) const
    {
        static_assert(index < words);
        asm volatile goto("1: movq %1, %c2(%0)\n" EXTABLE(1b, %l[fault])
                          : : "r"(at_), "r"(value), "i"(index * sizeof(u64)) : : fault);
        return true;
    fault:
        return false;
    }

    /// Reads a word; false on a fault.
    template <unsigned index>
    [[nodiscard, gnu::always_inline]] bool get(u64& value) const
    {
        static_assert(index < words);
        u64 word;
        asm volatile goto("1: movq %c2(%1), %0\n" EXTABLE(1b, %l[fault])
                          : "=r"(word) : "r"(at_), "i"(index * sizeof(u64)) : : fault);
        asm("");
        value = word;
        return true;
    fault:
        return false;
    }

private:
    u64 at_;
};

} // namespace streak::arch

#endif
