// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/handlers.hpp"
#include "pv/control_registers.hpp"

namespace streak::hypercall {

/// Sets or clears CR0.TS of the calling vCPU (xen/xen.h).
Return fpu_taskswitch(i32 set) {
    TRY(may(xsm::Hook::fpu_taskswitch, caller()));
    pv::set_task_switched(current(), set != 0);
    return 0;
}

} // namespace streak::hypercall
