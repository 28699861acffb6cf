// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "domain/notify.hpp"
#include "domain/scheduler.hpp"
#include "domain/shutdown.hpp"
#include "hypercall/handlers.hpp"
#include "lib/log.hpp"

// HYPERVISOR_sched_op (xen/sched.h).

namespace streak::hypercall {

namespace {

constexpr unsigned max_poll_ports = 128;

Return block() {
    current().info->evtchn_upcall_mask = 0;
    scheduler::block_current();
    return 0;
}

Return yield() {
    scheduler::yield_current();
    return 0;
}

Return shut_down_caller(u32 reason) {
    TRY(may(xsm::Hook::sched_op, caller()));
    log_info("d{}v{} shuts its domain down, reason {}", caller().id, current().id, reason);
    shut_down(caller(), reason);
    return 0;
}

/// Sleeps until one of the ports is pending, an event is due, or the time has come (absolute; 0: never).
Return poll(GuestHandle<sched_poll_t> arg) {
    TRY_ASSIGN(poll, arg.read());
    if (poll.nr_ports > max_poll_ports) return fail(Errno::EINVAL);
    std::array<evtchn_port_t, max_poll_ports> ports;
    const std::span wanted(ports.data(), poll.nr_ports);
    TRY(GUEST_HANDLE(poll.ports).read_array(wanted));

    Domain& domain = caller();
    if (std::ranges::any_of(wanted, [&](u32 port) { return port >= domain.ports->limit(); }))
        return fail(Errno::EINVAL);

    Vcpu& v = current();
    if (poll.timeout != 0) timers::set(v.sched.poll, poll.timeout);
    else timers::stop(v.sched.poll);
    scheduler::poll_current(EvtchnPort(wanted.size() == 1 ? wanted[0] : 0), [&] {
        return std::ranges::any_of(wanted, [&](u32 port) { return events::is_pending(domain, EvtchnPort(port)); });
    });
    return 0;
}

Result<> remote_shutdown(const sched_remote_shutdown_t& request) {
    TRY_ASSIGN(domain, find_domain(DomId(request.domain_id)));
    TRY(may(xsm::Hook::sched_remote_shutdown, *domain));
    shut_down(*domain, static_cast<u8>(request.reason));
    return {};
}

Result<> shutdown_code(const sched_shutdown_t& request) {
    TRY(may(xsm::Hook::sched_op, caller()));
    latch_shutdown_code(caller(), static_cast<u8>(request.reason));
    return {};
}

Return watchdog(GuestHandle<sched_watchdog_t> arg) {
    TRY_ASSIGN(request, arg.read());
    TRY(may(xsm::Hook::sched_watchdog, caller()));
    TRY_ASSIGN(id, set_watchdog(caller(), request.id, request.timeout));
    return id;
}

Result<> pin_override(const sched_pin_override_t& request) {
    TRY(may(xsm::Hook::sched_pin_override, caller()));
    return scheduler::pin_override(current(), request.pcpu);
}

} // namespace

Return sched_op(i32 cmd, RawHandle arg) {
    switch (cmd) {
    case SCHEDOP_yield: return yield();
    case SCHEDOP_block: return block();
    case SCHEDOP_shutdown: {
        TRY_ASSIGN(request, arg.as<sched_shutdown_t>().read());
        return shut_down_caller(static_cast<u8>(request.reason));
    }
    case SCHEDOP_poll: return poll(arg.as<sched_poll_t>());
    case SCHEDOP_remote_shutdown: return on_copy(arg, remote_shutdown);
    case SCHEDOP_shutdown_code: return on_copy(arg, shutdown_code);
    case SCHEDOP_watchdog: return watchdog(arg.as<sched_watchdog_t>());
    case SCHEDOP_pin_override: return on_copy(arg, pin_override);
    default: return fail(Errno::ENOSYS);
    }
}

/// The interface before 3.1: the argument is the shutdown reason itself.
Return sched_op_compat(i32 cmd, u64 arg) {
    switch (cmd) {
    case SCHEDOP_yield: return yield();
    case SCHEDOP_block: return block();
    case SCHEDOP_shutdown: return shut_down_caller(static_cast<u8>(arg));
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace streak::hypercall
