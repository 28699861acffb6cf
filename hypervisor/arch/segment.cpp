// SPDX-License-Identifier: GPL-2.0-only
#include "arch/segment.hpp"

namespace streak::arch {

bool load_guest_gs(u16 selector) {
    // Interrupts are off, and NMI, #MC and #DB find their block without GS: for these few instructions
    // GS base may be the descriptor's. A faulting load leaves it alone, so that the fix-up is safe.
    u64 block;
    asm volatile("mov %%gs:0, %0" : "=r"(block) : : "memory");
    const bool loaded = load_gs(selector);
    u64 base = 0;
    if (loaded && (selector & ~3) != 0) base = read_msr(msr::gs_base);
    write_msr(msr::gs_base, block);
    write_msr(msr::kernel_gs_base, base);
    return loaded;
}

} // namespace streak::arch
