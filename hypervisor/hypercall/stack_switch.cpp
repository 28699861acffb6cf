// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

/// The stack on which the guest kernel is entered from its user mode (xen/arch-x86/xen.h).
Return stack_switch(u64 ss, u64 sp) {
    TRY(may(xsm::Hook::stack_switch, caller()));
    Vcpu& v = current();
    v.pv.kernel_ss = (ss & 0xffff) | 3;
    v.pv.kernel_sp = sp;
    return 0;
}

} // namespace streak::hypercall
