// SPDX-License-Identifier: GPL-2.0-only
#include "domain/timers.hpp"

#include <array>

#include "arch/clock.hpp"
#include "arch/lapic.hpp"
#include "arch/percpu.hpp"
#include "lib/spinlock.hpp"

namespace streak::timers {

namespace {

struct CpuTimers {
    SpinLock lock;
    sched::TimerHeap heap;
    Timer* running = nullptr; ///< its callback is under way
};
constinit std::array<CpuTimers, max_cpus> all{};

/// Takes the timer out of the heap it is in; returns that heap's CPU.
CpuTimers& take_out(Timer& timer) {
    for (;;) {
        const CpuId cpu = timer.cpu;
        CpuTimers& timers = all[cpu.raw()];
        timers.lock.lock();
        if (timer.cpu == cpu) {
            timers.heap.cancel(timer);
            return timers; // locked
        }
        timers.lock.unlock();
    }
}

} // namespace

void set(Timer& timer, u64 deadline) {
    const CpuId here = arch::cpu_id();
    if (timer.cpu != here) {
        CpuTimers& old = take_out(timer);
        timer.cpu = here;
        old.lock.unlock();
    }
    CpuTimers& mine = all[here.raw()];
    LockGuard guard(mine.lock);
    if (timer.cpu != here) return; // another CPU has set it at the same time
    if (mine.heap.set(timer, deadline)) lapic::set_timer(mine.heap.earliest());
}

void stop(Timer& timer) {
    for (;;) {
        CpuTimers& timers = take_out(timer);
        // A callback on this CPU is our own caller; one elsewhere is waited for, and may have set it again.
        const bool wait = timers.running == &timer && &timers != &all[arch::cpu_id().raw()];
        timers.lock.unlock();
        if (!wait) return;
        spin_wait();
    }
}

void run_due() {
    CpuTimers& mine = all[arch::cpu_id().raw()];
    mine.lock.lock();
    while (auto* timer = static_cast<Timer*>(mine.heap.pop_due(clock::now()))) {
        mine.running = timer;
        mine.lock.unlock();
        timer->function(timer->context);
        mine.lock.lock();
        mine.running = nullptr;
    }
    lapic::set_timer(mine.heap.earliest());
    mine.lock.unlock();
}

u64 next_deadline(CpuId cpu) {
    LockGuard guard(all[cpu.raw()].lock);
    return all[cpu.raw()].heap.earliest();
}

} // namespace streak::timers
