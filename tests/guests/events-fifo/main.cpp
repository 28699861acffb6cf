// SPDX-License-Identifier: GPL-2.0-only
//
// The story: the FIFO delivery keeps pending events in linked lists inside pages the guest can scribble on.
// The order has to be first in, first out within a priority, higher priorities first; a page that is not the
// guest's is refused; events pending before the switch may not be lost; a guest that destroys its own links
// harms only itself.

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit evtchn_fifo_control_block_t* control = nullptr;
constinit event_word_t* words = nullptr;
constinit u32 heads[EVTCHN_FIFO_MAX_QUEUES] = {};

constexpr event_word_t bit(unsigned number) { return 1u << number; }

/// Takes the first event of the highest ready priority; 0 when there is none.
u32 take() {
    const u32 ready = __atomic_load_n(&control->ready, __ATOMIC_SEQ_CST);
    for (u32 queue = 0; queue < EVTCHN_FIFO_MAX_QUEUES; ++queue) {
        if ((ready >> queue & 1) == 0) continue;
        const u32 port = heads[queue] != 0 ? heads[queue] : control->head[queue];
        event_word_t old = words[port], next;
        do next = old & ~(bit(EVTCHN_FIFO_LINKED) | EVTCHN_FIFO_LINK_MASK);
        while (!__atomic_compare_exchange_n(&words[port], &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
        heads[queue] = old & EVTCHN_FIFO_LINK_MASK;
        if (heads[queue] == 0) __atomic_fetch_and(&control->ready, ~bit(queue), __ATOMIC_SEQ_CST);
        if ((old & bit(EVTCHN_FIFO_PENDING)) != 0 && (old & bit(EVTCHN_FIFO_MASKED)) == 0) {
            __atomic_fetch_and(&words[port], ~bit(EVTCHN_FIFO_PENDING), __ATOMIC_SEQ_CST);
            return port;
        }
        return take();
    }
    return 0;
}

long init_control(u64 frame, u32 offset) {
    evtchn_init_control_t op = {};
    op.control_gfn = frame;
    op.offset = offset;
    op.vcpu = 0;
    return event_channel_op(EVTCHNOP_init_control, &op);
}

long expand(u64 frame) {
    evtchn_expand_array_t op = {.array_gfn = frame};
    return event_channel_op(EVTCHNOP_expand_array, &op);
}

long set_priority(u32 port, u32 priority) {
    evtchn_set_priority_t op = {.port = port, .priority = priority};
    return event_channel_op(EVTCHNOP_set_priority, &op);
}

void switch_over(Page* page, Page* array) {
    expect_error(expand(mfn_of(array)), "an array page before the control block");
    expect_eq(init_control(1ull << 40, 0), -XEN_EINVAL, "a control block beyond the machine");
    expect_eq(init_control(mfn_of(page), 4096 - 8), -XEN_EINVAL, "a control block across a page's end");
    expect_eq(init_control(mfn_of(page), 4), -XEN_EINVAL, "a control block that is not aligned");
    expect_error(init_control(root_mfn(), 0), "a control block inside a page table");
    require_eq(init_control(mfn_of(page), 64), 0, "a control block");
    expect_error(expand(root_mfn()), "an array page that is a page table");
    require_eq(expand(mfn_of(array)), 0, "an array page");
    control = reinterpret_cast<evtchn_fifo_control_block_t*>(reinterpret_cast<char*>(page) + 64);
    words = reinterpret_cast<event_word_t*>(array);
    expect_error(init_control(mfn_of(page), 64), "a second control block for the same vCPU");
    expect_error(pin(1, page), "the control page cannot become a page table");
    expect_error(pin(1, array), "nor the array page");
}

void check_order(const u32 (&port)[6]) {
    for (u32 p : port) expect_eq(unmask_op(p), 0, "a port is unmasked");
    while (take() != 0);
    __atomic_store_n(&this_vcpu().evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    for (u32 i : {3u, 0u, 5u, 1u}) send(port[i]);
    expect_eq(this_vcpu().evtchn_upcall_pending, 1, "an upcall is raised");
    send(port[0]);
    for (u32 i : {3u, 0u, 5u, 1u}) expect_eq(take(), port[i], "events come in the order they were sent");
    expect_eq(take(), 0, "each once");

    expect_eq(set_priority(port[4], EVTCHN_FIFO_PRIORITY_MAX), 0, "a port gets the highest priority");
    expect_eq(set_priority(port[2], EVTCHN_FIFO_PRIORITY_MIN), 0, "another one the lowest");
    expect_error(set_priority(port[1], EVTCHN_FIFO_PRIORITY_MIN + 1), "a priority beyond the last");
    expect_error(set_priority(0xffffff, 3), "a priority of no port");
    for (u32 i : {2u, 0u, 4u, 1u}) send(port[i]);
    for (u32 i : {4u, 0u, 1u, 2u}) expect_eq(take(), port[i], "priorities come first");
    expect_eq(take(), 0, "and nothing else");
}

void check_mask(u32 port) {
    __atomic_fetch_or(&words[port], bit(EVTCHN_FIFO_MASKED), __ATOMIC_SEQ_CST);
    this_vcpu().evtchn_upcall_pending = 0;
    expect_eq(send(port), 0, "a send to a masked port");
    expect((words[port] & bit(EVTCHN_FIFO_PENDING)) != 0, "is pending");
    expect((words[port] & bit(EVTCHN_FIFO_LINKED)) == 0, "but in no queue");
    expect_eq(this_vcpu().evtchn_upcall_pending, 0, "and raises no upcall");
    expect_eq(unmask_op(port), 0, "unmasking");
    expect((words[port] & bit(EVTCHN_FIFO_LINKED)) != 0, "puts it into its queue");
    expect_eq(take(), port, "and delivers it");
}

void check_scribbling(const u32 (&port)[6]) {
    for (u32 round = 0; round < 64; ++round) {
        for (u32 p : port) {
            words[p] = 0x9e3779b9u * (round + 1) ^ p;
            send(p);
            unmask_op(p);
        }
        control->ready = ~0u;
        control->head[round % EVTCHN_FIFO_MAX_QUEUES] = ~round;
    }
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "the hypervisor survives destroyed links");
    expect(expand(mfn_of(alloc_page())) == 0, "and can still grow the array");
}

} // namespace

GUEST("events-fifo") {
    const long early = bind_ipi(0);
    require_eq(early > 0, true, "a port before the switch");
    send(static_cast<u32>(early));
    Page *page = alloc_page(), *array = alloc_page();
    for (u32 i = 0; i < 1024; ++i) reinterpret_cast<event_word_t*>(array)[i] = bit(EVTCHN_FIFO_MASKED);
    switch_over(page, array);
    expect((words[early] & bit(EVTCHN_FIFO_PENDING)) != 0, "an event pending before the switch stays pending");

    u32 port[6];
    for (u32& p : port) {
        const long bound = bind_ipi(0);
        require_eq(bound > 0, true, "an IPI port");
        p = static_cast<u32>(bound);
    }
    check_order(port);
    check_mask(port[0]);
    check_scribbling(port);
}
