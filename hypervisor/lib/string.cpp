// SPDX-License-Identifier: GPL-2.0-only

// The memory functions every compiler may call without being asked, and the few string functions
// that are used besides. Large blocks go by `rep movsq/stosq`, short ones by a few moves that may overlap.

// A loop in here must not be recognized and become a call of itself.
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#include <cstdint>

namespace {

template <class T> struct [[gnu::packed, gnu::may_alias]] Word {
    T value;
};
using Word64 = Word<std::uint64_t>;

using Byte = unsigned char;

template <class W> [[gnu::always_inline]] inline auto load(const Byte* at) {
    return reinterpret_cast<const W*>(at)->value;
}

template <class W, class Value> [[gnu::always_inline]] inline void store(Byte* at, Value value) {
    reinterpret_cast<W*>(at)->value = value;
}

/// Copies one to two words' bytes.
template <class W> [[gnu::always_inline]] inline void move_ends(Byte* to, const Byte* from, std::size_t n) {
    const auto first = load<W>(from), last = load<W>(from + n - sizeof(W));
    store<W>(to, first);
    store<W>(to + n - sizeof(W), last);
}

/// Copies up to 16 bytes; everything is read before anything is written, so overlap is fine.
[[gnu::always_inline]] inline void move_short(Byte* to, const Byte* from, std::size_t n) {
    if (n >= 8) move_ends<Word64>(to, from, n);
    else if (n >= 4) move_ends<Word<std::uint32_t>>(to, from, n);
    else if (n >= 2) move_ends<Word<std::uint16_t>>(to, from, n);
    else if (n == 1) *to = *from;
}

constexpr std::size_t rep_threshold = 128; // below it the start-up cost of `rep` is the larger one

} // namespace

extern "C" {

void* memcpy(void* to_, const void* from_, std::size_t n) {
    auto* to = static_cast<Byte*>(to_);
    const auto* from = static_cast<const Byte*>(from_);
    if (n <= 16) {
        move_short(to, from, n);
        return to_;
    }
    const auto tail = load<Word64>(from + n - 8);
    Byte* const tail_at = to + n - 8;
    if (n < rep_threshold) {
        for (; n > 8; n -= 8, to += 8, from += 8) store<Word64>(to, load<Word64>(from));
    } else {
        std::size_t words = n / 8;
        asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    }
    store<Word64>(tail_at, tail);
    return to_;
}

void* memmove(void* to_, const void* from_, std::size_t n) {
    auto* to = static_cast<Byte*>(to_);
    const auto* from = static_cast<const Byte*>(from_);
    if (n <= 16) {
        move_short(to, from, n);
        return to_;
    }
    if (static_cast<std::size_t>(to - from) >= n) // forward is safe: `to` is below, or past the end
        return memcpy(to_, from_, n);
    const auto head = load<Word64>(from);
    for (; n > 8; n -= 8) store<Word64>(to + n - 8, load<Word64>(from + n - 8));
    store<Word64>(to, head);
    return to_;
}

void* memset(void* to_, int value, std::size_t n) {
    auto* to = static_cast<Byte*>(to_);
    const std::uint64_t pattern = static_cast<Byte>(value) * 0x0101010101010101ull;
    if (n >= 8) {
        store<Word64>(to + n - 8, pattern);
        std::size_t words = n / 8;
        if (n < rep_threshold) {
            for (; words != 0; --words, to += 8) store<Word64>(to, pattern);
        } else {
            asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
        }
    } else {
        for (; n != 0; --n) *to++ = static_cast<Byte>(value);
    }
    return to_;
}

int memcmp(const void* left_, const void* right_, std::size_t n) {
    const auto* left = static_cast<const Byte*>(left_);
    const auto* right = static_cast<const Byte*>(right_);
    while (n >= 8 && load<Word64>(left) == load<Word64>(right)) left += 8, right += 8, n -= 8;
    for (; n != 0; --n, ++left, ++right)
        if (*left != *right) return *left - *right;
    return 0;
}

void* memchr(const void* in, int value, std::size_t n) {
    for (const auto* at = static_cast<const Byte*>(in); n != 0; --n, ++at)
        if (*at == static_cast<Byte>(value)) return const_cast<Byte*>(at);
    return nullptr;
}

std::size_t strlen(const char* text) {
    std::size_t length = 0;
    while (text[length] != '\0') ++length;
    return length;
}

// What headers compiled with _FORTIFY_SOURCE call: the bound was computed by the compiler.
[[noreturn, gnu::cold]] static void overflow() { __builtin_trap(); }

void* __memcpy_chk(void* to, const void* from, std::size_t n, std::size_t room) {
    if (n > room) overflow();
    return memcpy(to, from, n);
}

void* __memmove_chk(void* to, const void* from, std::size_t n, std::size_t room) {
    if (n > room) overflow();
    return memmove(to, from, n);
}

void* __memset_chk(void* to, int value, std::size_t n, std::size_t room) {
    if (n > room) overflow();
    return memset(to, value, n);
}

} // extern "C"
