// SPDX-License-Identifier: GPL-2.0-only
// clang-format off: it would break the %l[label] operands
#include "arch/uaccess.hpp"

namespace streak::arch {

namespace {

/// Eight bytes at a time, then the rest; false when either faulted.
[[nodiscard]] bool copy(u64 to, u64 from, u64 bytes) {
    u64 words = bytes / 8;
    asm volatile goto(STREAK_STAC "1: rep movsq\n"
                         "mov %k3, %%ecx\n"
                         "2: rep movsb\n" STREAK_CLAC EXTABLE(1b, %l[fault]) EXTABLE(2b, %l[fault])
             : "+&D"(to), "+&S"(from), "+&c"(words)
             : "r"(bytes % 8)
             : "memory"
             : fault);
    return true;
fault:
    asm volatile(STREAK_CLAC ::: "memory");
    return false;
}

} // namespace

bool copy_from_guest_slow(void* to, Vaddr from, u64 bytes) {
    return guest_range_ok(from.raw(), bytes) && copy(reinterpret_cast<u64>(to), from.raw(), bytes);
}

bool copy_to_guest_slow(Vaddr to, const void* from, u64 bytes) {
    return guest_range_ok(to.raw(), bytes) && copy(to.raw(), reinterpret_cast<u64>(from), bytes);
}

} // namespace streak::arch
