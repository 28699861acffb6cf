// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a second vCPU is born from a context the guest wrote, so every field in it is hostile; and once
// it runs, events, page-table changes and shutdowns cross between processors. The second one is refused with
// bad contexts, brought up, sent events to, sees a mapping change, goes down and comes up again.
//
// qemu: -smp 2
// again: xpti=yes

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/second.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 window = 0x20000000000;
constinit u32 stage = 0;   ///< written by the second vCPU
constinit u32 command = 0; ///< written by the first: 1 read the window, 2 go down, 3 wait for an event
constinit u64 answer = 0;
constinit Page* stack = nullptr;
constinit u32 wake_port = 0, reply_port = 0;

u32 load(u32& word) { return __atomic_load_n(&word, __ATOMIC_SEQ_CST); }

void store(u32& word, u32 value) { __atomic_store_n(&word, value, __ATOMIC_SEQ_CST); }

bool reaches(u32& word, u32 value) {
    const u64 until = system_time() + 5'000'000'000;
    while (load(word) != value)
        if (system_time() > until) return false;
        else sched_op(SCHEDOP_yield);
    return true;
}

void wait_for_port() {
    vcpu_info_t& own = shared_page().vcpu_info[1];
    while (!port_pending(wake_port)) {
        own.evtchn_upcall_pending = 0;
        own.evtchn_pending_sel = 0;
        evtchn_port_t ports[1] = {wake_port};
        sched_poll_t poll = {};
        set_xen_guest_handle(poll.ports, ports);
        poll.nr_ports = 1;
        sched_op(SCHEDOP_poll, &poll);
    }
    clear_port(wake_port);
    send(reply_port);
}

extern "C" [[noreturn]] void second_main() {
    store(stage, 1);
    for (;;) {
        const u32 order = load(command);
        if (order == 1) answer = *reinterpret_cast<volatile u64*>(window);
        if (order == 3) wait_for_port();
        if (order == 2) {
            store(command, 0);
            store(stage, 2);
            vcpu_op(VCPUOP_down, 1);
            store(stage, 3); // up again: it goes on behind the call
            continue;
        }
        if (order != 0) store(command, 0);
        asm volatile("pause");
    }
}

void fill(vcpu_guest_context_t& context) { fill_context(context, second_main, stack); }

void check_contexts() {
    static vcpu_guest_context_t context;
    expect_eq(vcpu_op(VCPUOP_is_up, 0), 1, "the first vCPU is up");
    expect_eq(vcpu_op(VCPUOP_is_up, 1), 0, "the second is not");
    expect_eq(vcpu_op(VCPUOP_is_up, 2), -XEN_ENOENT, "a third is not there");
    expect_eq(vcpu_op(VCPUOP_is_up, 8191), -XEN_ENOENT, "nor the last");
    expect_error(vcpu_op(VCPUOP_up, 1), "it cannot be brought up before it has a context");
    fill(context);
    expect_error(vcpu_op(VCPUOP_initialise, 2, &context), "a context for a vCPU that is not there");
    expect_eq(vcpu_op(VCPUOP_initialise, 1, nullptr), -XEN_EFAULT, "a context at address 0");
    context.ctrlreg[3] = xen_pfn_to_cr3(mfn_of(stack));
    expect_error(vcpu_op(VCPUOP_initialise, 1, &context), "a page-table base that is a stack");
    context.ctrlreg[3] = xen_pfn_to_cr3(1ull << 40);
    expect_error(vcpu_op(VCPUOP_initialise, 1, &context), "a base beyond the machine");
    fill(context);
    context.gdt_ents = FIRST_RESERVED_GDT_ENTRY + 1;
    expect_error(vcpu_op(VCPUOP_initialise, 1, &context), "a GDT over the reserved entries");
    fill(context);
    context.event_callback_eip = 0x8000000000000000;
    expect_error(vcpu_op(VCPUOP_initialise, 1, &context), "a non-canonical callback");
    fill(context);
    expect_eq(vcpu_op(VCPUOP_initialise, 1, &context), 0, "a good context");
    expect_eq(vcpu_op(VCPUOP_initialise, 1, &context), -XEN_EEXIST, "is taken once");
    expect_eq(vcpu_op(VCPUOP_is_up, 1), 0, "it is still down");
}

void check_events() {
    const long near = bind_ipi(1), back = bind_ipi(0);
    require_eq(near > 0 && back > 0, true, "a port on either vCPU");
    wake_port = static_cast<u32>(near);
    reply_port = static_cast<u32>(back);
    mask_port(wake_port);
    mask_port(reply_port);
    for (unsigned round = 0; round < 50; ++round) {
        store(command, 3);
        expect_eq(send(wake_port), 0, "an event to the second vCPU");
        if (!expect(reaches(command, 0), "wakes it")) return;
        expect(port_pending(reply_port), "and it answers");
        clear_port(reply_port);
    }
    const long moved = alloc_unbound();
    expect_eq(bind_vcpu(static_cast<u32>(moved), 1), 0, "a port is moved to the second vCPU");
    long result;
    expect_eq(status(static_cast<u32>(moved), result).vcpu, 1, "and says so");
}

void check_flush() {
    Page* pages = alloc_pages(2);
    pages[0].word[0] = 0x100;
    pages[1].word[0] = 0x101;
    require_eq(map(window, mfn_of(&pages[0]), pte_rw), 0, "a window");
    for (unsigned round = 0; round < 100; ++round) {
        const unsigned which = round & 1;
        expect_eq(update_va_mapping(window, pte(mfn_of(&pages[which]), pte_rw), UVMF_INVLPG | UVMF_ALL), 0, "remapped");
        store(command, 1);
        if (!expect(reaches(command, 0), "the second vCPU looks") ||
            !expect_eq(answer, 0x100 + which, "and sees the new page"))
            return;
    }
    unsigned long mask = 2;
    mmuext_op_t op = {};
    op.cmd = MMUEXT_INVLPG_MULTI;
    op.arg1.linear_addr = window;
    set_xen_guest_handle(op.arg2.vcpumask, &mask);
    expect_eq(mmuext_ops(&op, 1), 0, "MMUEXT_INVLPG_MULTI");
    op.cmd = MMUEXT_TLB_FLUSH_MULTI;
    expect_eq(mmuext_ops(&op, 1), 0, "MMUEXT_TLB_FLUSH_MULTI");
}

} // namespace

GUEST("second-vcpu") {
    if (vcpu_op(VCPUOP_is_up, 1) == -XEN_ENOENT) skip("dom0 has one vCPU only");
    stack = alloc_pages(4);
    check_contexts();
    expect_eq(vcpu_op(VCPUOP_up, 1), 0, "it is brought up");
    require_eq(reaches(stage, 1), true, "and runs");
    expect_eq(vcpu_op(VCPUOP_is_up, 1), 1, "and is seen to be up");
    check_events();
    check_flush();
    vcpu_runstate_info_t runstate = {};
    expect_eq(vcpu_op(VCPUOP_get_runstate_info, 1, &runstate), 0, "VCPUOP_get_runstate_info");
    expect(runstate.time[RUNSTATE_running] != 0, "it has used time");
    store(command, 2);
    expect(reaches(stage, 2), "it goes down");
    u32 is_down = 0;
    for (unsigned tries = 0; tries < 1000 && is_down == 0; ++tries) {
        is_down = vcpu_op(VCPUOP_is_up, 1) == 0;
        sched_op(SCHEDOP_yield);
    }
    expect_eq(is_down, 1, "and is seen to be down");
    expect_eq(load(stage), 2, "and stays there");
    expect_eq(vcpu_op(VCPUOP_up, 1), 0, "it is brought up again");
    expect(reaches(stage, 3), "and goes on behind its VCPUOP_down");
}
