// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/lib/trap.hpp"

#include "tests/guests/lib/verdict.hpp"

namespace guest {

extern "C" {
extern char guard_landing[];
extern u64 guard_stack;
void trap_handler(Frame* frame);
}

namespace {

constinit TrapHook hooks[entry_nmi + 1] = {};
using EventHook = void (*)(Frame&);
constinit EventHook event_hook = nullptr;
constinit Trap recorded = {};

/// Back to the guarded call, with events masked as they were when the trap came.
void land(Frame& frame) {
    recorded.taken = true;
    recorded.cr2 = this_vcpu().arch.cr2;
    recorded.frame = frame;
    frame.rip = std::bit_cast<u64>(&guard_landing[0]);
    frame.rsp = guard_stack;
    frame.cs = kernel_cs_in_frame;
    frame.ss = FLAT_KERNEL_SS;
    frame.rflags &= flag_if;
}

} // namespace

extern "C" void trap_handler(Frame* frame) {
    if (frame->vector == entry_event) {
        if (event_hook) return event_hook(*frame);
        this_vcpu().evtchn_upcall_pending = 0;
        this_vcpu().evtchn_pending_sel = 0;
        return;
    }
    if (hooks[frame->vector] && hooks[frame->vector](*frame)) return;
    if (guard_stack != 0) return land(*frame);
    Line() << "unexpected trap " << Hex{frame->vector} << " error " << Hex{frame->error} << " rip " << Hex{frame->rip}
           << " rsp " << Hex{frame->rsp} << " cr2 " << Hex{this_vcpu().arch.cr2};
    expect(false, "no unexpected trap");
    conclude();
}

void set_trap_hook(u64 vector, TrapHook hook) { hooks[vector] = hook; }

void set_event_hook(void (*hook)(Frame&)) { event_hook = hook; }

const Trap& last_trap() { return recorded; }

long install_vector(u8 vector, u8 dpl, bool mask_events) {
    trap_info_t table[2] = {};
    table[0].vector = vector;
    table[0].flags = static_cast<u8>(dpl | (mask_events ? 4 : 0));
    table[0].cs = FLAT_KERNEL_CS;
    table[0].address = std::bit_cast<u64>(&trap_stubs[vector][0]);
    return hypercall(__HYPERVISOR_set_trap_table, table);
}

long register_callback(u16 type, const char* entry, u16 flags) {
    callback_register_t request = {};
    request.type = type;
    request.flags = flags;
    request.address = std::bit_cast<u64>(entry);
    return hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, &request);
}

void install_traps() {
    for (u8 vector = 0; vector < 32; ++vector) {
        const bool software = vector == vector_bp || vector == vector_of;
        if (install_vector(vector, software ? 3 : 0) != 0) error("set_trap_table refuses an exception");
    }
    if (register_callback(CALLBACKTYPE_event, event_entry) != 0 ||
        register_callback(CALLBACKTYPE_failsafe, failsafe_entry) != 0 ||
        register_callback(CALLBACKTYPE_syscall, syscall_entry) != 0)
        error("callback_op refuses a callback");
}

} // namespace guest
