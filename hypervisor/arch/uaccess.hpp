// SPDX-License-Identifier: GPL-2.0-only
// clang-format off: it would break the %l[label] operands
#pragma once

#include "arch/extable.hpp"
#include "arch/layout.hpp"

namespace streak::arch {

// Copies between the hypervisor and the current guest's virtual memory under the current CR3.
// False when any byte is not accessible or lies in the hypervisor's range; part of the data may
// have been copied then. Faults are fixed up through the exception table (uaccess.cpp).

[[nodiscard]] bool copy_from_guest_slow(void* to, Vaddr from, u64 bytes);
[[nodiscard]] bool copy_to_guest_slow(Vaddr to, const void* from, u64 bytes);

#if __STDC_HOSTED__

[[nodiscard]] bool copy_from_guest(void* to, Vaddr from, u64 bytes);
[[nodiscard]] bool copy_to_guest(Vaddr to, const void* from, u64 bytes);

#else

// Three-byte NOPs that become STAC and CLAC when SMAP is on (arch/cpu.cpp).
#define STREAK_SMAP_SITE(section) \
    "771: .byte 0x0f, 0x1f, 0x00\n.pushsection " section ", \"a\"\n.long 771b - .\n.popsection\n"
#define STREAK_STAC STREAK_SMAP_SITE(".stac_sites")
#define STREAK_CLAC STREAK_SMAP_SITE(".clac_sites")

namespace detail {

/// One aligned-or-not word of guest memory, while it is open.
template <class Word> [[nodiscard, gnu::always_inline]] inline bool read_word(Word& value, u64 at) {
    u64 word;
    if constexpr (sizeof(Word) == 8)
        asm volatile goto("1: movq (%1), %0\n" EXTABLE(1b, %l[fault]) : "=r"(word) : "r"(at) : "memory" : fault);
    else if constexpr (sizeof(Word) == 4)
        asm volatile goto("1: movl (%1), %k0\n" EXTABLE(1b, %l[fault]) : "=r"(word) : "r"(at) : "memory" : fault);
    else if constexpr (sizeof(Word) == 2)
        asm volatile goto("1: movzwl (%1), %k0\n" EXTABLE(1b, %l[fault]) : "=r"(word) : "r"(at) : "memory" : fault);
    else
        asm volatile goto("1: movzbl (%1), %k0\n" EXTABLE(1b, %l[fault]) : "=r"(word) : "r"(at) : "memory" : fault);
    asm("");
    value = static_cast<Word>(word);
    return true;
fault:
    value = 0;
    return false;
}

template <class Word> [[nodiscard, gnu::always_inline]] inline bool write_word(u64 at, Word value) {
    if constexpr (sizeof(Word) == 1)
        asm volatile goto("1: mov %b1, (%0)\n" EXTABLE(1b, %l[fault]) : : "r"(at), "r"(value) : "memory" : fault);
    else
        asm volatile goto("1: mov %1, (%0)\n" EXTABLE(1b, %l[fault]) : : "r"(at), "r"(value) : "memory" : fault);
    return true;
fault:
    return false;
}

template <class Word> [[nodiscard, gnu::always_inline]] inline bool read_words(void* to, u64 from, unsigned count) {
    bool ok = true;
    asm volatile(STREAK_STAC ::: "memory");
#pragma GCC unroll 4
    for (unsigned i = 0; ok && i < count; ++i) {
        Word word;
        ok = read_word(word, from + i * sizeof(Word));
        __builtin_memcpy(static_cast<u8*>(to) + i * sizeof(Word), &word, sizeof(Word));
    }
    asm volatile(STREAK_CLAC ::: "memory");
    return ok;
}

template <class Word> [[nodiscard, gnu::always_inline]] inline bool write_words(u64 to, const void* from, unsigned count) {
    bool ok = true;
    asm volatile(STREAK_STAC ::: "memory");
#pragma GCC unroll 4
    for (unsigned i = 0; ok && i < count; ++i) {
        Word word;
        __builtin_memcpy(&word, static_cast<const u8*>(from) + i * sizeof(Word), sizeof(Word));
        ok = write_word(to + i * sizeof(Word), word);
    }
    asm volatile(STREAK_CLAC ::: "memory");
    return ok;
}

} // namespace detail

[[nodiscard, gnu::always_inline]] inline bool copy_from_guest(void* to, Vaddr from, u64 bytes) {
    const u64 at = from.raw();
    if (__builtin_constant_p(bytes)) {
        if (bytes == 1) return guest_range_ok(at, 1) && detail::read_words<u8>(to, at, 1);
        if (bytes == 2) return guest_range_ok(at, 2) && detail::read_words<u16>(to, at, 1);
        if (bytes == 4) return guest_range_ok(at, 4) && detail::read_words<u32>(to, at, 1);
        if (bytes % 8 == 0 && bytes <= 32) return guest_range_ok(at, bytes) && detail::read_words<u64>(to, at, bytes / 8);
    }
    return copy_from_guest_slow(to, from, bytes);
}

[[nodiscard, gnu::always_inline]] inline bool copy_to_guest(Vaddr to, const void* from, u64 bytes) {
    const u64 at = to.raw();
    if (__builtin_constant_p(bytes)) {
        if (bytes == 1) return guest_range_ok(at, 1) && detail::write_words<u8>(at, from, 1);
        if (bytes == 2) return guest_range_ok(at, 2) && detail::write_words<u16>(at, from, 1);
        if (bytes == 4) return guest_range_ok(at, 4) && detail::write_words<u32>(at, from, 1);
        if (bytes % 8 == 0 && bytes <= 32) return guest_range_ok(at, bytes) && detail::write_words<u64>(at, from, bytes / 8);
    }
    return copy_to_guest_slow(to, from, bytes);
}

#endif

} // namespace streak::arch
