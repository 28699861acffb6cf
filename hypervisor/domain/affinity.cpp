// SPDX-License-Identifier: GPL-2.0-only

#include "arch/clock.hpp"
#include "arch/smp.hpp"
#include "domain/run_queues.hpp"
#include "domain/scheduler.hpp"

// Affinity, shares and the accounts of CPU time.

namespace streak::scheduler {

namespace {

/// The affinity has changed: the vCPU moves when it may not stay. Its queue is locked here, unlocked on return.
void leave_if_forbidden(CpuQueue& q, Vcpu& vcpu) {
    const CpuId cpu(vcpu.sched.cpu.load());
    const bool forbidden = !vcpu.sched.hard.test(cpu);
    const bool runs = q.running == &vcpu;
    if (forbidden && vcpu.sched.queued) q.queue.dequeue(vcpu.sched);
    q.lock.unlock();
    if (!forbidden) return;
    if (runs) arch::raise_work(cpu, arch::Work::schedule);
    else wake(vcpu);
}

/// A vCPU's part of its domain's cap, in thousandths of a CPU.
u32 cap_of_vcpu(u32 cap_percent, u32 vcpus) {
    const u32 share = cap_percent * 10 / std::max(vcpus, 1u);
    return cap_percent == 0 || share >= sched::full_cpu ? 0 : std::max(share, 1u);
}

} // namespace

Result<> set_affinity(Vcpu& vcpu, const CpuMask* hard, const CpuMask* soft) {
    if (hard != nullptr && (*hard & smp::online()).empty()) return fail(Errno::EINVAL);
    CpuQueue& q = lock_queue(vcpu);
    VcpuSched& s = vcpu.sched;
    if (hard != nullptr && s.pinned_over) {
        q.lock.unlock();
        return fail(Errno::EBUSY);
    }
    if (hard != nullptr) s.hard = *hard;
    if (soft != nullptr) s.soft = *soft;
    leave_if_forbidden(q, vcpu);
    return {};
}

Result<> pin_override(Vcpu& vcpu, i32 cpu) {
    CpuQueue& q = lock_queue(vcpu);
    VcpuSched& s = vcpu.sched;
    if (cpu < 0) {
        const bool was = std::exchange(s.pinned_over, false);
        if (was) s.hard = s.hard_before;
        leave_if_forbidden(q, vcpu);
        return was ? Result<>{} : fail(Errno::EINVAL);
    }
    const CpuId target(static_cast<u32>(cpu));
    const bool exists = target.raw() < max_cpus && smp::online().test(target);
    if (!exists || (s.pinned_over && !s.hard.test(target))) {
        q.lock.unlock();
        return fail(exists ? Errno::EBUSY : Errno::EINVAL);
    }
    if (!s.pinned_over) s.hard_before = s.hard;
    s.pinned_over = true;
    s.hard = CpuMask::of(target);
    leave_if_forbidden(q, vcpu);
    return {};
}

Result<> set_share(Domain& domain, u32 weight, u32 cap_percent) {
    if (weight < 1 || weight > 65535 || cap_percent > domain.max_vcpus * 100) return fail(Errno::EINVAL);
    domain.sched.weight = weight;
    domain.sched.cap_percent = cap_percent;
    domain.for_each_vcpu([&](Vcpu& v) {
        CpuQueue& q = lock_queue(v);
        v.sched.weight = weight;
        v.sched.cap = cap_of_vcpu(cap_percent, domain.max_vcpus);
        const bool runs = q.running == &v; // alone, maybe, with nothing that would end its turn
        q.lock.unlock();
        if (runs) arch::raise_work(CpuId(v.sched.cpu.load()), arch::Work::schedule);
    });
    return {};
}

RunStateTimes runstate_now(Vcpu& vcpu) {
    CpuQueue& q = lock_queue(vcpu);
    RunStateTimes times = vcpu.sched.runstate;
    const u64 now = clock::now();
    times.total[static_cast<unsigned>(times.state)] += now - std::min(now, times.entered);
    q.lock.unlock();
    return times;
}

u64 cpu_time(Domain& domain) {
    u64 sum = 0;
    domain.for_each_vcpu(
        [&](Vcpu& v) { sum += runstate_now(v).total[static_cast<unsigned>(sched::RunState::running)]; });
    return sum;
}

} // namespace streak::scheduler
