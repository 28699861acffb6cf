// SPDX-License-Identifier: GPL-2.0-only
//
// The story: what does it cost to go from one vCPU to the other? Two vCPUs wake each other by events and wait by
// SCHEDOP_poll: a round trip is two sends, two waits, two wake-ups, and, where they share a processor, two context
// switches. Then the first yields while the second does nothing but yield, too: each time the second has run makes
// two switches. Counted as in `bench`; tests/bench/run.py runs it with one processor and with two.
//
// hv: dom0_max_vcpus=2 dom0_vcpus_pin
// qemu: -icount shift=0,sleep=off

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/second.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr unsigned rounds = 8, times = 100;
constinit u32 to_first = 0, to_second = 0;
constinit u64 turns = 0; ///< of the second vCPU
constinit bool yielding = false;

u64 load(u64& word) { return __atomic_load_n(&word, __ATOMIC_SEQ_CST); }

void check(long result) {
    if (result != 0) [[unlikely]]
        error("an operation that is measured failed");
}

/// Waits until the port is pending, and takes the event.
void wait_for(u32 port, unsigned vcpu) {
    vcpu_info_t& own = shared_page().vcpu_info[vcpu];
    while (!port_pending(port)) {
        own.evtchn_upcall_pending = 0;
        own.evtchn_pending_sel = 0;
        evtchn_port_t ports[1] = {port};
        sched_poll_t poll = {};
        set_xen_guest_handle(poll.ports, ports);
        poll.nr_ports = 1;
        check(sched_op(SCHEDOP_poll, &poll));
    }
    clear_port(port);
}

extern "C" [[noreturn]] void second_main() {
    for (;;) {
        if (__atomic_load_n(&yielding, __ATOMIC_SEQ_CST)) {
            sched_op(SCHEDOP_yield);
        } else {
            wait_for(to_second, 1);
            check(send(to_first));
        }
        __atomic_add_fetch(&turns, 1, __ATOMIC_SEQ_CST);
    }
}

void start_second() {
    static vcpu_guest_context_t context;
    fill_context(context, second_main, alloc_pages(4));
    check(vcpu_op(VCPUOP_initialise, 1, &context));
    check(vcpu_op(VCPUOP_up, 1));
}

/// Prints the least number of instructions for what `count` counts.
template <class Operation, class Count> void bench(std::string_view name, Operation operation, Count count) {
    u64 least = ~0ull;
    for (unsigned round = 0; round < rounds; ++round) {
        const u64 before = count(), start = rdtsc();
        for (unsigned i = 0; i < times; ++i) operation();
        const u64 instructions = rdtsc() - start, done = count() - before;
        if (done != 0 && instructions / done < least) least = instructions / done;
    }
    if (least != ~0ull)
        Line() << "BENCH " << name << " " << least; // else the second, with a processor of its own, did not run
}

u32 port_to(u32 vcpu) {
    const long port = bind_ipi(vcpu);
    require_eq(port > 0, true, "a port");
    mask_port(static_cast<u32>(port)); // it is waited for by polling
    return static_cast<u32>(port);
}

} // namespace

GUEST("bench-switch") {
    mask_events();
    to_first = port_to(0);
    to_second = port_to(1);
    start_second();
    const auto second_turns = [] { return load(turns); };
    bench(
        "wakeup_round_trip",
        [] {
            check(send(to_second));
            wait_for(to_first, 0);
        },
        second_turns);
    __atomic_store_n(&yielding, true, __ATOMIC_SEQ_CST);
    check(send(to_second));
    bench("yield_round_trip", [] { check(sched_op(SCHEDOP_yield)); }, second_turns);
}
