// SPDX-License-Identifier: GPL-2.0-only
#include "arch/pic.hpp"

#include "arch/io.hpp"
#include "arch/vectors.hpp"

namespace streak::pic {

void disable() {
    constexpr u16 command[] = {0x20, 0xa0}, data[] = {0x21, 0xa1};
    // Both answer at one base: lines are masked, only stray interrupts (line 7) could ever come, at base + 7.
    for (unsigned i = 0; i < 2; ++i) {
        arch::out8(data[i], 0xff);
        arch::out8(command[i], 0x11);                         // ICW1: initialise, ICW4 follows
        arch::out8(data[i], arch::pic_spurious_vector.raw()); // ICW2: vector base
        arch::out8(data[i], i == 0 ? 0x04 : 0x02);            // ICW3: cascade on line 2
        arch::out8(data[i], 0x01);                            // ICW4: 8086 mode
        arch::out8(data[i], 0xff);
    }
    // The IMCR of MP-specification boards: interrupts by way of the APIC. Harmless elsewhere.
    arch::out8(0x22, 0x70);
    arch::out8(0x23, 0x01);
}

} // namespace streak::pic
