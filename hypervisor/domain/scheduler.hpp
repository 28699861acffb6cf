// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"

// Which vCPU runs where. Each CPU has a run queue (sched/run_queue.hpp) under a lock of its own; the lock
// of VcpuSched::cpu's queue covers a vCPU. Run-queue locks are leaves: nothing else is taken inside.
//
// No wake-up is lost: a vCPU that blocks sets its flag, then looks for a pending event; an event is made
// pending first and kick() looks at the flag afterwards (full barriers in between, sched/vcpu_state.hpp).

namespace streak::scheduler {

/// Gives this CPU its idle vCPU; before the first schedule(). Panics without memory.
void start_cpu();

/// A new vCPU: offline, affinity to all CPUs. Called once by the domain's creation.
void init_vcpu(Vcpu& vcpu);
/// A vCPU that will not run again: it is paused and off its CPU. Stops its timers.
void destroy_vcpu(Vcpu& vcpu);

/// Chooses the next vCPU for this CPU and switches to it. On the exit path only, no lock held.
void schedule();

/// Makes the vCPU run when nothing else hinders it (after a flag that kept it from running has gone).
void wake(Vcpu& vcpu);

/// SCHEDOP_block: sleeps until an event is pending, unless one is already. Returns at once; the exit path
/// switches.
void block_current();
/// SCHEDOP_yield: lets the next one run, if there is one.
void yield_current();
/// SCHEDOP_poll: sleeps until woken, unless `is_pending` says that this is no longer needed. `port`: the one it waits
/// for; 0: several, or none.
void poll_current(EvtchnPort port, FunctionRef<bool()> is_pending);

/// vCPU up and down (VCPUOP_up/down, domain builder): false when it was so already.
bool bring_up(Vcpu& vcpu);
bool take_down(Vcpu& vcpu);

/// Paused vCPUs don't run. The plain form waits until the vCPU is off its CPU (hold no locks, and
/// not for the current one, which leaves at its next exit); nosync does not wait.
void pause(Vcpu& vcpu);
void pause_nosync(Vcpu& vcpu);
void unpause(Vcpu& vcpu);
void pause(Domain& domain);
void unpause(Domain& domain);
/// Keeps a domain off the CPUs, so that its registers are in memory.
struct [[nodiscard]] Stopped : NotCopyable {
    explicit Stopped(Domain& d) : domain(d) { pause(domain); }
    ~Stopped() { unpause(domain); }
    Domain& domain;
};
/// Waits until no other CPU holds the vCPU's registers.
void wait_off_cpu(const Vcpu& vcpu);

/// Affinity; a null pointer leaves that one. EINVAL: no online CPU in `hard`; EBUSY: overridden by pin_override.
[[nodiscard]] Result<> set_affinity(Vcpu& vcpu, const CpuMask* hard, const CpuMask* soft);
/// SCHEDOP_pin_override: to one CPU, or back with a negative number. EINVAL, EBUSY, ENOENT.
[[nodiscard]] Result<> pin_override(Vcpu& vcpu, i32 cpu);

/// Weight (1 … 65535) and cap (percent of one CPU, 0: none) of a domain. EINVAL.
[[nodiscard]] Result<> set_share(Domain& domain, u32 weight, u32 cap_percent);

/// Books the time up to now and returns the account (VCPUOP_get_runstate_info, domctl getvcpuinfo).
[[nodiscard]] RunStateTimes runstate_now(Vcpu& vcpu);
/// CPU time used by all vCPUs, ns (getdomaininfo).
[[nodiscard]] u64 cpu_time(Domain& domain);

[[nodiscard]] bool runnable(const Vcpu& vcpu);
/// Has it an event that it would take now?
[[nodiscard]] bool event_pending(const Vcpu& vcpu);

/// For the debug keys.
struct QueueInfo {
    u32 waiting, throttled;
    const Vcpu* current;
};
[[nodiscard]] QueueInfo queue_info(CpuId cpu);

} // namespace streak::scheduler
