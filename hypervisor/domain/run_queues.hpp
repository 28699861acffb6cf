// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "mm/host_page_table.hpp"

// Private to the scheduler: the run queue of each CPU.

namespace streak::scheduler {

struct CpuQueue {
    SpinLock lock;
    sched::RunQueue queue;
    Vcpu* running = nullptr; ///< what the CPU runs, or is switching to
    Timer slice;
    u32 slice_stale = 0; ///< choices made since the slice timer was needed last; this CPU alone uses it
};

extern std::array<CpuQueue, max_cpus> queues;

/// Locks and returns the queue that a vCPU belongs to.
[[nodiscard]] CpuQueue& lock_queue(Vcpu& vcpu);

// With the queue locked:

/// Books the time since the last change and enters the state that the vCPU is in now.
void set_runstate(Vcpu& vcpu, bool on_cpu, u64 now);
/// Books the running vCPU's CPU time so far on its virtual clock.
void charge_running(CpuQueue& q, u64 now);

} // namespace streak::scheduler
