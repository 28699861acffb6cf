// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/timers.hpp"
#include "lib/abi.hpp"
#include "sched/run_queue.hpp"
#include "sched/vcpu_state.hpp"

namespace streak {

struct Vcpu;

/// Time booked by state (xen/vcpu.h, vcpu_runstate_info). Changed under the run queue's lock.
struct RunStateTimes {
    sched::RunState state = sched::RunState::offline;
    u64 entered = 0;
    std::array<u64, 4> total{};
};

/// Scheduling and time state of a vCPU. The lock of the run queue of `cpu` covers what has no other remark.
struct VcpuSched : sched::Entity {
    Vcpu* vcpu = nullptr;
    sched::VcpuState state;                  ///< atomic
    std::atomic<u32> cpu{0};                 ///< CPU whose queue and lock it belongs to
    std::atomic<bool> on_cpu{false};         ///< a CPU holds its registers (runs it or still saves them)
    std::atomic<bool> debugger_pause{false}; ///< one of its pauses is a debugger's
    bool yielding = false;

    CpuMask hard, soft;       ///< affinity
    bool pinned_over = false; ///< SCHEDOP_pin_override is in force
    CpuMask hard_before;

    RunStateTimes runstate;
    u64 runstate_area = 0; ///< guest virtual addresses, 0: none; only used when it is current
    u64 time_area = 0;

    Timer periodic, singleshot, poll;
    u64 period = 0; ///< ns; 0: off
    u64 period_last = 0;
};

/// The same for a whole domain.
struct DomainSched {
    static constexpr u32 watchdog_count = 2;
    std::array<Timer, watchdog_count> watchdogs;
    std::atomic<u32> watchdogs_in_use{0}; ///< bit mask
    u32 weight = sched::default_weight;
    u32 cap_percent = 0;       ///< of one CPU, for all vCPUs together; 0: none
    bool code_latched = false; ///< SCHEDOP_shutdown_code
};

} // namespace streak
