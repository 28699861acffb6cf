// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"

namespace guest {

/// What a further vCPU starts with to run `entry` in this kernel, on the four pages of `stack`.
inline void fill_context(vcpu_guest_context_t& context, void (*entry)(), Page* stack) {
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_IN_KERNEL;
    context.user_regs.rip = std::bit_cast<u64>(entry);
    context.user_regs.rsp = std::bit_cast<u64>(stack + 4) - 8;
    context.user_regs.rflags = 1u << 9; // IF
    context.user_regs.cs = FLAT_KERNEL_CS & 0xffff;
    context.user_regs.ss = FLAT_KERNEL_SS & 0xffff;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = std::bit_cast<u64>(stack + 4);
    context.ctrlreg[3] = xen_pfn_to_cr3(root_mfn());
    context.event_callback_eip = std::bit_cast<u64>(&event_entry[0]);
    context.failsafe_callback_eip = std::bit_cast<u64>(&failsafe_entry[0]);
    context.syscall_callback_eip = std::bit_cast<u64>(&syscall_entry[0]);
}

} // namespace guest
