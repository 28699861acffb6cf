// SPDX-License-Identifier: GPL-2.0-only
#include "arch/cpu.hpp"
#include "domain/scheduler.hpp"

namespace streak::hypercall {

bool preempt_pending();

/// Lets waiting interrupts in, then says whether the exit path would have something to do.
bool preempt_pending() {
    arch::interrupt_window();
    if (arch::this_cpu().work.load(std::memory_order_relaxed) != 0) return true;
    const Vcpu& v = current();
    return !v.is_idle() && scheduler::event_pending(v);
}

} // namespace streak::hypercall
