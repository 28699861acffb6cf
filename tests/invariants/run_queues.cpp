// SPDX-License-Identifier: GPL-2.0-only
#include "domain/run_queues.hpp"
#include "arch/smp.hpp"
#include "domain/scheduler.hpp"
#include "tests/invariants/heaps.hpp"

// A vCPU that may run is on a CPU or in exactly one queue; one that may not is in none.

namespace streak::invariants {

namespace {

using scheduler::CpuQueue;

u64 walk(CpuId cpu, const auto& heap, bool throttled) {
    return for_each_in(heap, "vCPUs", cpu, [&](const sched::HeapNode& node) {
        const auto& s = static_cast<const VcpuSched&>(static_cast<const sched::Entity&>(node));
        if (!s.queued || s.throttled != throttled || s.cpu.load() != cpu.raw())
            broken("CPU {}: d{}v{} is in its queue, but thinks otherwise", cpu, s.vcpu->domain->id, s.vcpu->id);
        if (!scheduler::runnable(*s.vcpu)) broken("d{}v{} is queued, but may not run", s.vcpu->domain->id, s.vcpu->id);
    });
}

void check_vcpu(const Vcpu& v) {
    const CpuQueue& q = scheduler::queues[v.sched.cpu.load()];
    const bool runs = q.running == &v;
    if (runs && v.sched.queued) broken("d{}v{} runs and is queued", v.domain->id, v.id);
    if (!runs && !v.sched.queued && scheduler::runnable(v))
        broken("d{}v{} may run, but is in no queue", v.domain->id, v.id);
    if (runs != v.sched.on_cpu.load()) broken("d{}v{}: on a CPU {}, running {}", v.domain->id, v.id, !runs, runs);
}

} // namespace

void check_run_queues() {
    smp::online().for_each([](CpuId cpu) {
        const CpuQueue& q = scheduler::queues[cpu.raw()];
        require_free(q.lock, "a run queue's lock", cpu.raw());
        const u64 ready = walk(cpu, q.queue.ready_, false), throttled = walk(cpu, q.queue.throttled_, true);
        if (ready != q.queue.waiting() || throttled != q.queue.throttled())
            broken("CPU {}: {} vCPUs wait and {} are set aside, {} and {} counted", cpu, ready, throttled,
                   q.queue.waiting(), q.queue.throttled());
        if (q.running && arch::percpu(cpu).current != q.running) broken("CPU {} runs another vCPU than it says", cpu);
    });
    for_each_domain([](const Domain& d) { d.for_each_vcpu(check_vcpu); });
}

} // namespace streak::invariants
