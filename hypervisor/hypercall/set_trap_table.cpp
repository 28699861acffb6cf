// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

namespace {

constexpr u16 rpl_3 = 3;
constexpr u8 masks_events = 4;

} // namespace

/// Enters gates into the virtual IDT, up to the one with address 0; a null list clears all of it
/// (xen/arch-x86/xen.h, trap_info). EFAULT; EINVAL: a non-canonical address, the gates before it are in
/// force.
Return set_trap_table(GuestHandle<trap_info_t> traps) {
    TRY(may(xsm::Hook::set_trap_table, caller()));
    Vcpu& v = current();
    if (traps.is_null()) {
        v.pv.traps.fill({});
        return 0;
    }
    for (u64 i = 0;; ++i) {
        if (i != 0 && i % 256 == 0 && preempt_pending()) {
            set_argument(0, traps.offset(i).address().raw());
            return fail(Errno::ERESTART);
        }
        TRY_ASSIGN(gate, traps.read(i));
        if (gate.address == 0) return 0;
        if (!arch::is_canonical(gate.address)) return fail(Errno::EINVAL);
        v.pv.traps[gate.vector] = {.address = gate.address,
                                   .cs = static_cast<u16>(gate.cs | rpl_3),
                                   .dpl = static_cast<u8>(TI_GET_DPL(&gate)),
                                   .masks_events = (gate.flags & masks_events) != 0};
    }
}

} // namespace streak::hypercall
