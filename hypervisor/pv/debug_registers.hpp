// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

// A guest's debug registers (Intel SDM 3B 17.2). DR6 only exists in PvState: the processor's is emptied by
// each #DB. DR4 and DR5 are the other names of DR6 and DR7 while CR4.DE is off.

namespace streak::pv {

inline constexpr u64 dr6_default = 0xffff0ff0, dr7_default = 0x400;
inline constexpr u64 dr6_single_step = 1u << 14;

/// EPERM: a breakpoint in the hypervisor's range, I/O breakpoints, or reserved bits; EINVAL, ENODEV: no such
/// register. A current vCPU's processor is updated at once.
[[nodiscard]] Result<> write_debug_register(Vcpu& v, unsigned reg, u64 value);

/// EINVAL, ENODEV: no such register.
[[nodiscard]] Result<u64> read_debug_register(const Vcpu& v, unsigned reg);

/// Merges what a #DB reported into the guest's DR6.
void note_debug_status(Vcpu& v, u64 dr6);

} // namespace streak::pv
