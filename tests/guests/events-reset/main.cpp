// SPDX-License-Identifier: GPL-2.0-only
//
// The story: EVTCHNOP_reset closes all ports and then gives up the FIFO queues. If a port is opened in between, by another
// vCPU, events find queues that are about to go: memory that has been freed. One vCPU resets over and over, the other binds its
// timer's interrupt, which fires at once, and a port to itself, and sends.
//
// qemu: -smp 2

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/second.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr unsigned rounds = 1000;
constinit u32 running = 0, stop = 0;
constinit u64 bound = 0, sent = 0;

u32 load(u32& word) { return __atomic_load_n(&word, __ATOMIC_SEQ_CST); }
void store(u32& word, u32 value) { __atomic_store_n(&word, value, __ATOMIC_SEQ_CST); }

extern "C" [[noreturn]] void binding_main() {
    store(running, 1);
    while (load(stop) == 0) {
        const long timer = bind_virq(VIRQ_TIMER, 1), ipi = bind_ipi(1);
        bound += timer > 0;
        set_timer(1); // long ago
        if (ipi > 0) sent += send(static_cast<u32>(ipi)) == 0;
        if (timer > 0) close_port(static_cast<u32>(timer));
        if (ipi > 0) close_port(static_cast<u32>(ipi));
    }
    store(running, 2);
    vcpu_op(VCPUOP_down, 1);
    for (;;) asm volatile("pause");
}

void start_binding() {
    static vcpu_guest_context_t context;
    fill_context(context, binding_main, alloc_pages(4));
    require_eq(vcpu_op(VCPUOP_initialise, 1, &context), 0, "a second vCPU");
    require_eq(vcpu_op(VCPUOP_up, 1), 0, "runs");
    while (load(running) == 0) sched_op(SCHEDOP_yield);
}

/// Control blocks for both vCPUs and the first event words.
long begin_fifo(Page* pages) {
    for (u32 vcpu = 0; vcpu < 2; ++vcpu) {
        evtchn_init_control_t control = {
            .control_gfn = mfn_of(pages + vcpu), .offset = 0, .vcpu = vcpu, .link_bits = 0, ._pad = {}};
        if (const long result = event_channel_op(EVTCHNOP_init_control, &control)) return result;
    }
    evtchn_expand_array_t array = {.array_gfn = mfn_of(pages + 2)};
    return event_channel_op(EVTCHNOP_expand_array, &array);
}

} // namespace

GUEST("events-reset") {
    Page* pages = alloc_pages(3);
    start_binding();
    unsigned done = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        memset(pages, 0, 3 * sizeof(Page));
        if (!expect_eq(begin_fifo(pages), 0, "FIFO delivery begins")) break;
        evtchn_reset_t reset = {.dom = DOMID_SELF};
        if (!expect_eq(event_channel_op(EVTCHNOP_reset, &reset), 0, "and ends")) break;
        ++done;
    }
    store(stop, 1);
    while (load(running) != 2) sched_op(SCHEDOP_yield);
    expect_eq(done, rounds, "all rounds");
    expect(bound != 0 && sent != 0, "ports were bound and used meanwhile");
    for (unsigned i = 0; i < 3; ++i) {
        expect_eq(make_readonly(pages + i), 0, "the queues' pages");
        expect_eq(pin(1, pages + i), 0, "are nobody's any more: they can be tables");
        expect_eq(unpin(pages + i), 0, "and back");
    }
}
