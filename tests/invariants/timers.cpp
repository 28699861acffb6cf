// SPDX-License-Identifier: GPL-2.0-only
// In place of the timers' own file, whose heaps are known nowhere else.
#include "hypervisor/domain/timers.cpp"

#include "arch/smp.hpp"
#include "tests/invariants/heaps.hpp"

namespace streak::invariants {

void check_timers() {
    smp::online().for_each([](CpuId cpu) {
        timers::CpuTimers& mine = timers::all[cpu.raw()];
        require_free(mine.lock, "a timer heap's lock", cpu.raw());
        for_each_in(mine.heap.heap_, "timers", cpu, [&](const sched::HeapNode& node) {
            const auto& timer = static_cast<const Timer&>(node);
            if (!timer.queued || timer.cpu != cpu || !timer.function)
                broken("CPU {}: a timer of CPU {}, queued {}", cpu, timer.cpu, timer.queued);
        });
    });
}

} // namespace streak::invariants
