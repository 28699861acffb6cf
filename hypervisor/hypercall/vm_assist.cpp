// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/handlers.hpp"
#include "pv/context.hpp"

namespace streak::hypercall {

/// Turns a variant of the ABI on or off for the whole domain (xen/xen.h). EINVAL: unknown type; ENOSYS.
Return vm_assist(u32 cmd, u32 type) {
    TRY(may(xsm::Hook::vm_assist, caller()));
    if (type >= 64 || !(pv::valid_vm_assists & (1ull << type))) return fail(Errno::EINVAL);
    u64& chosen = caller().vm_assist;
    switch (cmd) {
    case VMASST_CMD_enable: __atomic_fetch_or(&chosen, 1ull << type, __ATOMIC_RELAXED); return 0;
    case VMASST_CMD_disable: __atomic_fetch_and(&chosen, ~(1ull << type), __ATOMIC_RELAXED); return 0;
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace streak::hypercall
