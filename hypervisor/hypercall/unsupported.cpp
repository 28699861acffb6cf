// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/handlers.hpp"

// Small calls, and calls of the ABI that are refused. Those without an entry in the table answer -ENOSYS.

namespace streak::hypercall {

/// XENPMU_*: there are no virtual performance counters, as with the incumbent's `vpmu=off`.
Return xenpmu_op(u32, RawHandle) {
    TRY(may(xsm::Hook::xenpmu_op, caller()));
    return fail(Errno::EOPNOTSUPP);
}

/// XENNMI_* (xen/nmi.h): the older form of CALLBACKOP_register for NMIs. EINVAL: not vCPU 0 of the control domain.
Return nmi_op(u32 cmd, RawHandle arg) {
    TRY(may(xsm::Hook::nmi_op, caller()));
    Vcpu& v = current();
    switch (cmd) {
    case XENNMI_register_callback: {
        TRY_ASSIGN(op, arg.as<xennmi_callback_t>().read());
        if (!caller().privileged || v.id != VcpuId(0) || !arch::is_canonical(op.handler_address))
            return fail(Errno::EINVAL);
        v.pv.nmi = {.address = op.handler_address, .masks_events = false};
        return 0;
    }
    case XENNMI_unregister_callback: v.pv.nmi = {}; return 0;
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace streak::hypercall
