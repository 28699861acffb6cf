// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

// Instructions that a guest kernel in ring 3 can't execute itself. Emulating one moves rip on; what an
// instruction may not do to this guest is left to its #GP.

namespace streak::pv {

/// The instruction at rip raised #GP(0): carries it out if it is a privileged one that this guest may use.
/// False: the fault is the guest's own, and nothing has changed.
[[nodiscard]] bool emulate_privileged(Vcpu& v);

/// The instruction at rip raised #UD: is it CPUID with the forced-emulation prefix (xen/arch-x86/xen.h)?
[[nodiscard]] bool emulate_forced(Vcpu& v);

struct SoftwareInterrupt {
    u8 vector = 0;
    u8 length = 0; ///< 0: the bytes at rip are no INT n
};
[[nodiscard]] SoftwareInterrupt decode_software_interrupt(const Vcpu& v);

} // namespace streak::pv
