// SPDX-License-Identifier: GPL-2.0-only
#include "arch/clock.hpp"
#include "domain/time.hpp"
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

/// VIRQ_TIMER at an absolute system time; 0 stops the timer (xen/xen.h). A time that is far away in either
/// direction comes from arithmetic on a wrong clock: such a guest is woken soon, to look again.
Return set_timer_op(i64 timeout) {
    TRY(may(xsm::Hook::set_timer_op, caller()));
    Vcpu& v = current();
    if (timeout == 0) {
        time::stop_singleshot(v);
        return 0;
    }
    constexpr u64 too_far = 1ull << 50, soon = 100'000'000;
    const u64 now = clock::now();
    u64 deadline = static_cast<u64>(timeout);
    if (timeout < 0 || (deadline > now && deadline - now > too_far)) deadline = now + soon;
    time::set_singleshot(v, deadline);
    return 0;
}

} // namespace streak::hypercall
