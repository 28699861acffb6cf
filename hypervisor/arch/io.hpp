// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::arch {

template <class T> [[nodiscard]] inline T in(u16 port) {
    T value;
    asm volatile("in %w1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
[[nodiscard]] inline u8 in8(u16 port) { return in<u8>(port); }
[[nodiscard]] inline u16 in16(u16 port) { return in<u16>(port); }
[[nodiscard]] inline u32 in32(u16 port) { return in<u32>(port); }
inline void out8(u16 port, u8 value) { asm volatile("outb %0, %w1" ::"a"(value), "Nd"(port)); }
inline void out16(u16 port, u16 value) { asm volatile("outw %0, %w1" ::"a"(value), "Nd"(port)); }
inline void out32(u16 port, u32 value) { asm volatile("outl %0, %w1" ::"a"(value), "Nd"(port)); }

/// A port access of 1, 2 or 4 bytes.
[[nodiscard]] inline u32 in_sized(u16 port, unsigned bytes) {
    return bytes == 1 ? in8(port) : bytes == 2 ? in16(port) : in32(port);
}
inline void out_sized(u16 port, unsigned bytes, u32 value) {
    if (bytes == 1) out8(port, static_cast<u8>(value));
    else if (bytes == 2) out16(port, static_cast<u16>(value));
    else out32(port, value);
}

} // namespace streak::arch
