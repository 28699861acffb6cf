// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::arch {

[[nodiscard]] inline u8 in8(u16 port) {
    u8 value;
    asm volatile("inb %w1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
[[nodiscard]] inline u16 in16(u16 port) {
    u16 value;
    asm volatile("inw %w1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
[[nodiscard]] inline u32 in32(u16 port) {
    u32 value;
    asm volatile("inl %w1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
inline void out8(u16 port, u8 value) { asm volatile("outb %0, %w1" ::"a"(value), "Nd"(port)); }
inline void out16(u16 port, u16 value) { asm volatile("outw %0, %w1" ::"a"(value), "Nd"(port)); }
inline void out32(u16 port, u32 value) { asm volatile("outl %0, %w1" ::"a"(value), "Nd"(port)); }

} // namespace streak::arch
