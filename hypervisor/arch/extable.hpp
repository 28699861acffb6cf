// SPDX-License-Identifier: GPL-2.0-only
// clang-format off: it would break the %l[label] operands
#pragma once

#include "lib/types.hpp"

// The exception table: pairs (instruction that may fault, where to go on then), both relative to their own
// place. An exception of the hypervisor at a listed instruction goes on at its fix-up.

#define EXTABLE(from, to)              \
    ".pushsection .extable, \"a\"\n"   \
    ".balign 4\n"                      \
    ".long " #from " - ., " #to " - .\n" \
    ".popsection\n"

namespace streak::arch {

/// Reads a word of the hypervisor's memory that may not be mapped (backtraces).
[[nodiscard]] inline bool read_safe(const u64* at, u64& value) {
    u64 word;
    asm volatile goto("1: mov %1, %0\n" EXTABLE(1b, %l[fault]) : "=r"(word) : "m"(*at) : : fault);
    asm(""); // with volatile: g++ 12 drops or misplaces outputs of a plain asm goto
    value = word;
    return true;
fault:
    return false;
}

} // namespace streak::arch
