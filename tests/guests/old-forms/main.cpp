// SPDX-License-Identifier: GPL-2.0-only
//
// The story: hypercalls have older forms, whose numbers are still theirs. Kernels of that time put command and argument
// into one structure, or registered all entries at once; what they get must be what the newer form gives.

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit unsigned upcalls = 0;

void count_upcall(Frame&) {
    ++upcalls;
    this_vcpu().evtchn_upcall_pending = 0;
    __atomic_store_n(&this_vcpu().evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
}

void check_callbacks() {
    constexpr u64 bad = 0x8000000000000000;
    const auto set = [](const void* event, const void* failsafe, const void* syscall) {
        return hypercall(__HYPERVISOR_set_callbacks, event, failsafe, syscall);
    };
    const void* none = reinterpret_cast<const void*>(bad);
    expect_eq(set(event_entry, failsafe_entry, syscall_entry), 0, "set_callbacks");
    if (is_streak()) expect_eq(set(none, failsafe_entry, syscall_entry), -XEN_EINVAL, "an entry that is no address");
    // The older of the two numbers may be for 32-bit guests alone.
    expect_eq(register_callback(CALLBACKTYPE_sysenter, syscall32_entry), 0, "an entry for SYSENTER");
    const long older = register_callback(CALLBACKTYPE_sysenter_deprecated, syscall32_entry);
    expect(older == 0 || older == -XEN_ENOSYS, "by its older number");
    expect_eq(register_callback(CALLBACKTYPE_sysenter, static_cast<const char*>(none)), -XEN_EINVAL, "no address");
}

long event_call(evtchn_op_t& op, u32 command) {
    op.cmd = command;
    return hypercall(__HYPERVISOR_event_channel_op_compat, &op);
}

void check_events() {
    set_event_hook(count_upcall);
    evtchn_op_t op = {};
    op.u.alloc_unbound.dom = op.u.alloc_unbound.remote_dom = DOMID_SELF;
    require_eq(event_call(op, EVTCHNOP_alloc_unbound), 0, "a port");
    const u32 port = op.u.alloc_unbound.port;
    op.u.bind_interdomain.remote_dom = DOMID_SELF;
    op.u.bind_interdomain.remote_port = port;
    require_eq(event_call(op, EVTCHNOP_bind_interdomain), 0, "and its peer");
    const u32 peer = op.u.bind_interdomain.local_port;
    expect(peer != 0 && peer != port, "which is told in the structure");
    clear_port(port);
    clear_port(peer);
    unmask_port(port);
    unmask_events();
    upcalls = 0;
    op.u.send.port = peer;
    expect_eq(event_call(op, EVTCHNOP_send), 0, "an event");
    expect(port_pending(port) && upcalls == 1, "arrives, at the entry of set_callbacks");
    mask_events();
    op.u.close.port = peer;
    expect_eq(event_call(op, EVTCHNOP_close), 0, "a close");
    expect_eq(event_call(op, EVTCHNOP_reset), -XEN_ENOSYS, "operations of later times have no old form");
}

void check_physdev() {
    physdev_op_t op = {};
    op.cmd = PHYSDEVOP_set_iopl;
    op.u.set_iopl.iopl = 4;
    expect_eq(hypercall(__HYPERVISOR_physdev_op_compat, &op), -XEN_EINVAL, "an I/O privilege level of 4");
    op.u.set_iopl.iopl = 1;
    expect_eq(hypercall(__HYPERVISOR_physdev_op_compat, &op), 0, "of 1");
    op.cmd = PHYSDEVOP_IRQ_UNMASK_NOTIFY;
    expect_eq(hypercall(__HYPERVISOR_physdev_op_compat, &op), 0, "an unmask of all interrupts");
    op.cmd = PHYSDEVOP_map_pirq;
    expect_error(hypercall(__HYPERVISOR_physdev_op_compat, &op), "operations of later times");
}

void check_scheduling() {
    const u64 start = system_time();
    expect_eq(hypercall(__HYPERVISOR_sched_op_compat, SCHEDOP_yield, 0), 0, "a yield");
    const long timer = bind_virq(VIRQ_TIMER);
    require_eq(timer > 0, true, "a timer");
    unmask_port(static_cast<u32>(timer));
    upcalls = 0;
    require_eq(set_timer(start + 20'000'000), 0, "is set");
    expect_eq(hypercall(__HYPERVISOR_sched_op_compat, SCHEDOP_block, 0), 0, "to block");
    expect(upcalls != 0 && system_time() - start >= 20'000'000, "lets the event in");
    mask_events();
    expect_eq(hypercall(__HYPERVISOR_sched_op_compat, SCHEDOP_poll, 0), -XEN_ENOSYS, "operations of later times");
}

} // namespace

GUEST("old-forms") {
    check_callbacks();
    check_events();
    check_physdev();
    check_scheduling();
}
