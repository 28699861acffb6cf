// SPDX-License-Identifier: GPL-2.0-only
#include "domain/shutdown.hpp"

#include "arch/clock.hpp"
#include "arch/machine.hpp"
#include "domain/scheduler.hpp"
#include "lib/log.hpp"

namespace streak {

namespace {

constexpr u64 second = 1'000'000'000;

[[noreturn]] void shut_down_machine(u32 reason) {
    switch (reason) {
    case SHUTDOWN_poweroff: log_info("dom0 has shut down: powering off"); machine::power_off();
    case SHUTDOWN_reboot: log_info("dom0 has shut down: rebooting"); machine::reboot();
    case SHUTDOWN_watchdog: log_error("dom0's watchdog has expired: rebooting"); machine::reboot();
    case SHUTDOWN_crash:
        log_emergency("dom0 has crashed: rebooting in five seconds");
        clock::delay_us(5'000'000);
        machine::reboot();
    default: log_error("dom0 has shut down for reason {}: rebooting", reason); machine::reboot();
    }
}

void watchdog_expired(void* context) {
    Domain& domain = *static_cast<Domain*>(context);
    log_warning("d{}: its watchdog has expired", domain.id);
    shut_down(domain, SHUTDOWN_watchdog);
}

Result<u32> new_watchdog(Domain& domain, u32 seconds) {
    DomainSched& s = domain.sched;
    if (seconds == 0) return fail(Errno::EINVAL);
    for (u32 i = 0; i < s.watchdogs.size(); ++i) {
        if ((s.watchdogs_in_use.fetch_or(1u << i) & (1u << i)) != 0) continue;
        s.watchdogs[i].function = watchdog_expired;
        s.watchdogs[i].context = &domain;
        timers::set(s.watchdogs[i], clock::now() + seconds * second);
        return i + 1;
    }
    return fail(Errno::ENOSPC);
}

} // namespace

void shut_down(Domain& domain, u32 reason) {
    if (domain.shutting_down.exchange(true)) return;
    if (!domain.sched.code_latched) domain.shutdown_code = reason;
    if (domain.privileged) shut_down_machine(domain.shutdown_code);
    domain.for_each_vcpu(scheduler::pause_nosync);
    send_global_virq(VIRQ_DOM_EXC);
}

bool resume(Domain& domain) {
    if (!domain.shutting_down.exchange(false)) return false;
    domain.sched.code_latched = false;
    domain.for_each_vcpu([](Vcpu& v) { scheduler::unpause(v); });
    return true;
}

void latch_shutdown_code(Domain& domain, u32 reason) {
    domain.shutdown_code = reason;
    domain.sched.code_latched = true;
}

Result<u32> set_watchdog(Domain& domain, u32 id, u32 seconds) {
    DomainSched& s = domain.sched;
    if (id > s.watchdogs.size()) return fail(Errno::EINVAL);
    if (id == 0) return new_watchdog(domain, seconds);
    const u32 bit = 1u << (id - 1);
    if ((s.watchdogs_in_use.load() & bit) == 0) return fail(Errno::EINVAL);
    if (seconds == 0) {
        timers::stop(s.watchdogs[id - 1]);
        s.watchdogs_in_use.fetch_and(~bit);
    } else {
        timers::set(s.watchdogs[id - 1], clock::now() + seconds * second);
    }
    return 0;
}

} // namespace streak
