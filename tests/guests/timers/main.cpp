// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a guest sleeps in SCHEDOP_block and trusts its one timer to wake it. A timer that fires early
// spins the guest, one that is lost hangs it. Each kind is set, waited for, and measured with the shared time
// record; a deadline in the past has to fire or be refused, never to vanish.

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 ms = 1'000'000;
constinit u32 port = 0;
constinit unsigned fired = 0;

void on_event(Frame&) {
    __atomic_store_n(&this_vcpu().evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&this_vcpu().evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    if (port_pending(port)) {
        clear_port(port);
        ++fired;
    }
}

/// Blocks until the timer has fired `count` times; false when something else than it wakes us for ever.
bool wait_for(unsigned count) {
    for (unsigned tries = 0; tries < 1000; ++tries) {
        mask_events();
        if (fired >= count) break;
        expect_eq(sched_op(SCHEDOP_block), 0, "SCHEDOP_block");
        expect_eq(this_vcpu().evtchn_upcall_mask, 0, "SCHEDOP_block unmasks upcalls");
    }
    unmask_events();
    return fired == count;
}

void check_set_timer() {
    fired = 0;
    const u64 start = system_time();
    expect_eq(set_timer(start + 20 * ms), 0, "set_timer_op in 20 ms");
    expect(wait_for(1), "wakes the guest once");
    const u64 slept = system_time() - start;
    expect(slept >= 20 * ms, "not before its time");
    expect(slept < 2000 * ms, "and not much later");

    fired = 0;
    expect_eq(set_timer(system_time() - 1), 0, "a deadline in the past");
    expect(wait_for(1), "fires at once");
    fired = 0;
    expect_eq(set_timer(system_time() + 30 * ms), 0, "a deadline is set");
    expect_eq(set_timer(0), 0, "and cancelled by 0");
    const u64 until = system_time() + 60 * ms;
    while (system_time() < until) xen_version(XENVER_version);
    expect_eq(fired, 0, "and does not fire");
}

long set_singleshot(u64 deadline, u32 flags) {
    vcpu_set_singleshot_timer_t op = {.timeout_abs_ns = deadline, .flags = flags};
    return vcpu_op(VCPUOP_set_singleshot_timer, 0, &op);
}

void check_singleshot() {
    fired = 0;
    const u64 start = system_time();
    expect_eq(set_singleshot(start + 20 * ms, VCPU_SSHOTTMR_future), 0, "a single-shot timer");
    expect(wait_for(1), "wakes the guest once");
    expect(system_time() - start >= 20 * ms, "not before its time");
    fired = 0;
    const long late = set_singleshot(system_time() - 5 * ms, VCPU_SSHOTTMR_future);
    expect(late == -XEN_ETIME || late == 0, "a past deadline with VCPU_SSHOTTMR_future is -ETIME");
    if (late == 0) expect(wait_for(1), "or fires at once");
    fired = 0;
    expect_eq(set_singleshot(1, 0), 0, "a past deadline without the flag");
    expect(wait_for(1), "fires at once");
    fired = 0;
    expect_eq(set_singleshot(system_time() + 30 * ms, 0), 0, "a single-shot timer");
    expect_eq(vcpu_op(VCPUOP_stop_singleshot_timer, 0), 0, "is stopped");
    const u64 until = system_time() + 60 * ms;
    while (system_time() < until) xen_version(XENVER_version);
    expect_eq(fired, 0, "and does not fire");
}

void check_periodic() {
    vcpu_set_periodic_timer_t op = {.period_ns = 10 * ms};
    fired = 0;
    const u64 start = system_time();
    expect_eq(vcpu_op(VCPUOP_set_periodic_timer, 0, &op), 0, "a periodic timer");
    // A periodic timer ticks while its vCPU runs; it need not wake one that blocks.
    while (fired < 5 && system_time() - start < 5000 * ms) asm volatile("pause");
    expect(fired >= 5, "fires again and again");
    expect(system_time() - start >= 40 * ms, "not faster than its period");
    expect_eq(vcpu_op(VCPUOP_stop_periodic_timer, 0), 0, "it is stopped");
    mask_events();
    fired = 0;
    clear_port(port);
    op.period_ns = 1;
    expect_error(vcpu_op(VCPUOP_set_periodic_timer, 0, &op), "a period of a nanosecond");
}

void check_poll() {
    evtchn_port_t ports[1] = {port};
    sched_poll_t poll = {};
    set_xen_guest_handle(poll.ports, ports);
    poll.nr_ports = 1;
    const u64 start = system_time();
    poll.timeout = start + 20 * ms;
    mask_events();
    mask_port(port);
    expect_eq(sched_op(SCHEDOP_poll, &poll), 0, "a poll with a timeout");
    expect(system_time() - start >= 19 * ms, "waits for it");
    poll.timeout = 0;
    set_timer(system_time() + 10 * ms);
    expect_eq(sched_op(SCHEDOP_poll, &poll), 0, "a poll for the timer");
    expect(port_pending(port), "ends when it is pending");
    expect_eq(sched_op(SCHEDOP_poll, &poll), 0, "and at once when it is pending already");
    clear_port(port);
    poll.nr_ports = 1000;
    expect_error(sched_op(SCHEDOP_poll, &poll), "a poll of too many ports");
    poll.nr_ports = 1;
    ports[0] = 0xffffffff;
    expect_error(sched_op(SCHEDOP_poll, &poll), "a poll of a bad port");
}

long watchdog(u32 id, u32 seconds) {
    sched_watchdog_t op = {id, seconds};
    return sched_op(SCHEDOP_watchdog, &op);
}

/// None of them expires here: that would reset the machine. (tests/guests/domains lets one expire.)
void check_watchdogs() {
    expect_error(watchdog(1, 100), "a watchdog that nobody set");
    const long first = watchdog(0, 100), second = watchdog(0, 100);
    expect(first > 0 && second > 0 && first != second, "two watchdogs");
    expect_eq(watchdog(static_cast<u32>(first), 200), 0, "one gets more time");
    expect_eq(watchdog(static_cast<u32>(first), 0), 0, "is stopped");
    expect_error(watchdog(static_cast<u32>(first), 100), "and is gone");
    expect_eq(watchdog(0, 100), first, "its number is given out again");
    expect_eq(watchdog(static_cast<u32>(first), 0), 0, "both");
    expect_eq(watchdog(static_cast<u32>(second), 0), 0, "end");
    expect_error(watchdog(0x80000001u, 1), "a number far outside");
}

} // namespace

GUEST("timers") {
    vcpu_op(VCPUOP_stop_periodic_timer, 0);
    const long bound = bind_virq(VIRQ_TIMER);
    require_eq(bound > 0, true, "the timer's port");
    port = static_cast<u32>(bound);
    set_event_hook(on_event);
    unmask_port(port);
    unmask_events();
    check_set_timer();
    check_singleshot();
    check_periodic();
    check_poll();
    check_watchdogs();
    expect_eq(sched_op(SCHEDOP_yield), 0, "SCHEDOP_yield");
    expect_eq(sched_op(77), -XEN_ENOSYS, "an unknown operation");
}
