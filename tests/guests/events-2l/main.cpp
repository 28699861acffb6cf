// SPDX-License-Identifier: GPL-2.0-only
//
// The story: event channels are the interrupts of a PV guest. An event lost hangs the guest, one too many
// confuses it, a port given to the wrong owner is a hole. Ports of every kind are bound, sent to, masked,
// unmasked, asked about and closed, and the two-level bitmaps are compared after each step.

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit unsigned upcalls = 0;
constinit u64 ports_seen = 0;

void count_upcall(Frame&) {
    ++upcalls;
    expect_eq(this_vcpu().evtchn_upcall_mask, 1, "upcalls are masked inside the callback");
    __atomic_store_n(&this_vcpu().evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    u64 selector = __atomic_exchange_n(&this_vcpu().evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (; selector != 0; selector &= selector - 1) {
        const u32 word = static_cast<u32>(std::countr_zero(selector));
        u64 ready = shared_page().evtchn_pending[word] & ~shared_page().evtchn_mask[word];
        for (; ready != 0; ready &= ready - 1) {
            const u32 port = word * 64 + static_cast<u32>(std::countr_zero(ready));
            clear_port(port);
            ports_seen |= 1ull << port;
        }
    }
}

bool took(u32 port) {
    const bool seen = upcalls == 1 && ports_seen == 1ull << port;
    upcalls = 0;
    ports_seen = 0;
    return seen;
}

void check_pair(u32 near, u32 far) {
    mask_port(near);
    mask_port(far);
    expect_eq(send(near), 0, "a send to a masked port");
    expect(port_pending(far) && !port_pending(near), "makes the other end pending");
    expect_eq(this_vcpu().evtchn_upcall_pending, 0, "but raises no upcall");
    expect_eq(unmask_op(far), 0, "unmasking by hypercall");
    expect(!port_masked(far), "clears the mask bit");
    expect_eq(this_vcpu().evtchn_upcall_pending, 1, "and raises the upcall that was held back");
    unmask_events();
    expect(took(far), "the upcall arrives once for that port");

    expect_eq(send(near), 0, "a send while upcalls are on");
    expect(took(far), "arrives at once");
    mask_events();
    expect(send(near) == 0 && send(near) == 0 && send(near) == 0, "three sends while upcalls are off");
    expect_eq(upcalls, 0, "wait");
    unmask_events();
    expect(took(far), "and arrive as one");
    clear_port(far);
    unmask_port(near);
    expect_eq(send(far), 0, "a send the other way");
    expect(took(near), "arrives there");
    mask_events();
}

void check_interdomain() {
    const long unbound = alloc_unbound();
    require_eq(unbound > 0, true, "an unbound port");
    long result;
    evtchn_status_t state = status(static_cast<u32>(unbound), result);
    expect(result == 0 && state.status == EVTCHNSTAT_unbound, "its status is unbound");
    expect_eq(send(static_cast<u32>(unbound)), 0, "a send into an unbound port is lost without an error");
    const long bound = bind_interdomain(static_cast<u32>(unbound), DOMID_SELF);
    require_eq(bound > 0, true, "its other end");
    expect(bound != unbound, "is another port");
    state = status(static_cast<u32>(bound), result);
    expect(result == 0 && state.status == EVTCHNSTAT_interdomain && state.u.interdomain.port == unbound,
           "the status tells the peer's port");
    expect_error(bind_interdomain(static_cast<u32>(unbound), DOMID_SELF), "a bound port cannot be bound again");
    // The binding itself leaves the new end pending, so that nothing sent before is missed.
    unmask_events();
    clear_port(static_cast<u32>(bound));
    mask_events();
    upcalls = 0;
    ports_seen = 0;
    check_pair(static_cast<u32>(unbound), static_cast<u32>(bound));

    expect_eq(close_port(static_cast<u32>(bound)), 0, "one end is closed");
    state = status(static_cast<u32>(unbound), result);
    expect(result == 0 && state.status == EVTCHNSTAT_unbound, "the other one is unbound again");
    expect_eq(close_port(static_cast<u32>(unbound)), 0, "and closed too");
    state = status(static_cast<u32>(unbound), result);
    expect(result == 0 && state.status == EVTCHNSTAT_closed, "closed");
    expect_error(close_port(static_cast<u32>(unbound)), "a closed port cannot be closed");
    expect_error(send(static_cast<u32>(unbound)), "nor sent to");
}

void check_virq_ipi() {
    const long ipi = bind_ipi(0);
    require_eq(ipi > 0, true, "an IPI port");
    unmask_events();
    expect_eq(send(static_cast<u32>(ipi)), 0, "an IPI to oneself");
    expect(took(static_cast<u32>(ipi)), "arrives");
    mask_events();
    long result;
    expect(status(static_cast<u32>(ipi), result).status == EVTCHNSTAT_ipi && result == 0, "its status");
    expect_error(bind_vcpu(static_cast<u32>(ipi), 0), "an IPI port stays where it is");

    const long debug = bind_virq(VIRQ_DEBUG);
    require_eq(debug > 0, true, "a VIRQ port");
    const evtchn_status_t state = status(static_cast<u32>(debug), result);
    expect(result == 0 && state.status == EVTCHNSTAT_virq && state.u.virq == VIRQ_DEBUG, "its status");
    expect_eq(bind_virq(VIRQ_DEBUG), -XEN_EEXIST, "a VIRQ is bound once");
    expect_error(send(static_cast<u32>(debug)), "a VIRQ port cannot be sent to");
    expect_eq(close_port(static_cast<u32>(debug)), 0, "it is closed");
    expect(bind_virq(VIRQ_DEBUG) > 0, "and bound again");
    const long global = bind_virq(VIRQ_DOM_EXC);
    expect(global > 0, "a global VIRQ");
    expect_eq(bind_vcpu(static_cast<u32>(global), 0), 0, "may be moved");
    expect_error(bind_vcpu(static_cast<u32>(global), 4000), "but not to a vCPU that is not there");
}

void check_errors() {
    expect_error(bind_virq(NR_VIRQS), "a VIRQ beyond the last");
    expect_error(bind_virq(VIRQ_TIMER, 4000), "a VIRQ for a vCPU that is not there");
    expect_error(bind_virq(VIRQ_TIMER, 0xffffffff), "a VIRQ for vCPU -1");
    expect_error(bind_ipi(4000), "an IPI for a vCPU that is not there");
    expect_error(alloc_unbound(DOMID_SELF, 999), "a port of a domain that is not there");
    expect_error(bind_interdomain(5, 999), "a peer that is not there");
    for (u32 port : {0u, 4095u, 4096u, 131071u, 0x7fffffffu, 0xffffffffu}) {
        expect_error(send(port), "a send to a bad port");
        expect_error(close_port(port), "a close of a bad port");
        expect_error(bind_interdomain(port), "a bind to a bad port");
    }
    expect_error(unmask_op(0xffffffff), "an unmask of a bad port");
    evtchn_send_t request = {};
    expect_eq(event_channel_op(99, &request), -XEN_ENOSYS, "an unknown operation");
}

void check_many() {
    static u32 ports[300];
    unsigned count = 0;
    for (; count < 300; ++count) {
        const long port = alloc_unbound();
        if (port <= 0) break;
        ports[count] = static_cast<u32>(port);
    }
    expect_eq(count, 300, "300 ports at once");
    for (unsigned i = 0; i < count; ++i) close_port(ports[i]);
    const long again = alloc_unbound();
    expect(again > 0 && again <= 310, "closed ports are used again");
}

long reset(domid_t domain) {
    evtchn_reset_t op = {.dom = domain};
    return event_channel_op(EVTCHNOP_reset, &op);
}

void check_reset() {
    const u32 port = static_cast<u32>(alloc_unbound()), peer = static_cast<u32>(bind_interdomain(port));
    const long ipi = bind_ipi(), timer = bind_virq(VIRQ_TIMER);
    require_eq(ipi > 0, true, "some ports");
    expect_eq(reset(DOMID_SELF), 0, "EVTCHNOP_reset");
    long result = 0;
    for (const u32 closed : {port, peer, static_cast<u32>(ipi)})
        expect_eq(status(closed, result).status, EVTCHNSTAT_closed, "closes all of them");
    expect(timer == -XEN_EEXIST || timer > 0, "an interrupt is bound");
    expect(bind_virq(VIRQ_TIMER) > 0, "and can be bound again");
}

} // namespace

GUEST("events-2l") {
    set_event_hook(count_upcall);
    check_interdomain();
    check_virq_ipi();
    check_errors();
    check_many();
    check_reset();
}
