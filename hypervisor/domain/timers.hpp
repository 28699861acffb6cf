// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "sched/timer_heap.hpp"

// Software timers. Each CPU has a heap of them and programs its APIC timer for the earliest; callbacks run on
// the exit path of that CPU (or in its idle loop), interrupts off, no lock held.

namespace streak {

/// A timer somebody embeds. Not to be moved or freed while it is set.
struct Timer : sched::TimerNode {
    void (*function)(void* context) = nullptr;
    void* context = nullptr;
    CpuId cpu{}; ///< whose heap holds it
};

namespace timers {

/// Sets or moves a timer: fires once, on the calling CPU, when system time reaches `deadline` (ns).
void set(Timer& timer, u64 deadline);

/// Takes a timer back. Afterwards its callback is not running on another CPU; so hold no lock that
/// it takes.
void stop(Timer& timer);

/// Runs the callbacks that are due and programs the hardware for the next one.
void run_due();

/// The next deadline of this CPU (for the debug keys).
[[nodiscard]] u64 next_deadline(CpuId cpu);

} // namespace timers
} // namespace streak
