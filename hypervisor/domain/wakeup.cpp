// SPDX-License-Identifier: GPL-2.0-only
#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/lapic.hpp"
#include "arch/percpu.hpp"
#include "arch/smp.hpp"
#include "arch/vectors.hpp"
#include "domain/notify.hpp"
#include "domain/run_queues.hpp"
#include "domain/scheduler.hpp"

// Sleeping and waking, pausing, moving between CPUs.

namespace streak::scheduler {

namespace {

/// Where a vCPU that becomes runnable should wait. Its queue is locked.
CpuId place(const Vcpu& vcpu) {
    const CpuId now(vcpu.sched.cpu.load());
    if (vcpu.sched.on_cpu.load() || arch::online_cpu_count() == 1) return now; // its registers are still there
    return sched::choose_cpu(now, vcpu.sched.hard, vcpu.sched.soft, smp::online(), [](CpuId cpu) {
        const CpuQueue& q = queues[cpu.raw()];
        const Vcpu* running = __atomic_load_n(&q.running, __ATOMIC_RELAXED);
        return q.queue.waiting() + (running != nullptr && !running->is_idle() ? 1 : 0);
    });
}

/// Must the CPU of this queue choose anew, now that `vcpu` waits there? The queue is locked.
bool needs_choice(const CpuQueue& q, const Vcpu& vcpu, u64 now) {
    if (q.running == nullptr || q.running->is_idle() || vcpu.sched.throttled) return true;
    const VcpuSched& running = q.running->sched;
    // The first one waiting starts the running one's slice.
    if (q.queue.waiting() != 1 && !sched::RunQueue::preempts(vcpu.sched, running)) return false;
    const u64 end = sched::RunQueue::turn_end(running, vcpu.sched);
    // The timer is its own CPU's alone to look at.
    return now >= end || q.running != &current() || !q.slice.queued || q.slice.deadline > end;
}

/// Puts a vCPU into its queue, which is locked here and unlocked on return.
void enqueue(CpuQueue& q, Vcpu& vcpu) {
    const u64 now = clock::now();
    const CpuId cpu(vcpu.sched.cpu.load());
    set_runstate(vcpu, false, now);
    charge_running(q, now); // the queue's clock follows
    q.queue.enqueue(vcpu.sched, now, true);
    const bool choose = needs_choice(q, vcpu, now);
    q.lock.unlock();
    if (choose) arch::raise_work(cpu, arch::Work::schedule);
}

/// A flag now keeps the vCPU from running: takes it off its queue, or asks its CPU to leave it.
void stop_running(Vcpu& vcpu) {
    CpuQueue& q = lock_queue(vcpu);
    const bool runs = q.running == &vcpu;
    const CpuId cpu(vcpu.sched.cpu.load());
    if (!runs) {
        if (vcpu.sched.queued) q.queue.dequeue(vcpu.sched);
        set_runstate(vcpu, false, clock::now());
    }
    q.lock.unlock();
    if (runs) arch::raise_work(cpu, arch::Work::schedule);
}

} // namespace

bool runnable(const Vcpu& vcpu) { return vcpu.sched.state.runnable() && vcpu.domain->pause_count.load() == 0; }

bool event_pending(const Vcpu& vcpu) {
    const auto* info = const_cast<const volatile vcpu_info_t*>(vcpu.info);
    return info->evtchn_upcall_pending != 0 && info->evtchn_upcall_mask == 0;
}

void init_vcpu(Vcpu& vcpu) {
    VcpuSched& s = vcpu.sched;
    s.vcpu = &vcpu;
    s.hard.set_all();
    s.soft.set_all();
    s.weight = vcpu.domain->sched.weight;
    s.runstate.entered = clock::now();
    // Spread the vCPUs of a domain over the CPUs from the start.
    s.cpu.store(vcpu.id.raw() % arch::online_cpu_count());
    while (!smp::online().test(CpuId(s.cpu.load()))) s.cpu.store((s.cpu.load() + 1) % max_cpus);
}

void destroy_vcpu(Vcpu& vcpu) {
    pause_nosync(vcpu);
    wait_off_cpu(vcpu);
    if (vcpu.id.raw() == 0)
        for (Timer& watchdog : vcpu.domain->sched.watchdogs) timers::stop(watchdog);
}

void wake(Vcpu& vcpu) {
    for (bool placed = false;; placed = true) {
        CpuQueue& q = lock_queue(vcpu);
        if (!runnable(vcpu) || vcpu.sched.queued || q.running == &vcpu) {
            q.lock.unlock();
            return;
        }
        const CpuId here(vcpu.sched.cpu.load());
        const CpuId target = placed ? here : place(vcpu);
        if (target == here) {
            enqueue(q, vcpu);
            return;
        }
        q.queue.hand_over(vcpu.sched, queues[target.raw()].queue);
        vcpu.sched.cpu.store(target.raw());
        q.lock.unlock();
    }
}

void block_current() {
    Vcpu& v = current();
    v.sched.state.block();
    if (event_pending(v) || v.exit_work.load() != 0) v.sched.state.wake();
    else arch::raise_local_work(arch::Work::schedule);
}

void poll_current(EvtchnPort port, FunctionRef<bool()> is_pending) {
    Vcpu& v = current();
    v.sched.state.begin_poll();
    events::begin_poll(v, port); // asleep by now: whoever takes it out, even late, wakes it as well
    if (is_pending() || event_pending(v) || v.exit_work.load() != 0) v.sched.state.wake();
    if (v.sched.state.asleep()) arch::raise_local_work(arch::Work::schedule);
    else events::end_poll(v);
}

void yield_current() {
    current().sched.yielding = true;
    arch::raise_local_work(arch::Work::schedule);
}

bool bring_up(Vcpu& vcpu) {
    if (!vcpu.sched.state.up()) return false;
    wake(vcpu);
    return true;
}

bool take_down(Vcpu& vcpu) {
    if (!vcpu.sched.state.down()) return false;
    stop_running(vcpu);
    return true;
}

void pause_nosync(Vcpu& vcpu) {
    vcpu.sched.state.pause();
    stop_running(vcpu);
}

void wait_off_cpu(const Vcpu& vcpu) {
    if (&vcpu == &current()) return;
    while (vcpu.sched.on_cpu.load()) spin_wait();
}

void pause(Vcpu& vcpu) {
    pause_nosync(vcpu);
    wait_off_cpu(vcpu);
}

void unpause(Vcpu& vcpu) {
    if (vcpu.sched.state.unpause()) wake(vcpu);
}

void pause(Domain& domain) {
    domain.pause_count.fetch_add(1);
    domain.for_each_vcpu(stop_running);
    domain.for_each_vcpu(wait_off_cpu);
}

void unpause(Domain& domain) {
    u32 now = domain.pause_count.load();
    do {
        if (now == 0) return;
    } while (!domain.pause_count.compare_exchange_weak(now, now - 1));
    if (now == 1) domain.for_each_vcpu(wake);
}

} // namespace streak::scheduler

namespace streak {

void kick(Vcpu& vcpu) {
    VcpuSched& s = vcpu.sched;
    if (s.state.asleep()) {
        if (s.state.polling()) events::end_poll(vcpu);
        if (s.state.wake()) scheduler::wake(vcpu);
        return;
    }
    // Awake: it looks at its events before it enters the guest. If it is in the guest, an interrupt makes it look.
    if (s.on_cpu.load() && s.cpu.load() != arch::cpu_id().raw())
        lapic::send_ipi(arch::percpu(CpuId(s.cpu.load())).apic_id, arch::work_vector);
}

} // namespace streak

namespace streak::hypercall {

// Declared in hypercall/call.hpp, which is further up.
bool preempt_pending() {
    arch::interrupt_window();
    if (arch::this_cpu().work.load(std::memory_order_relaxed) != 0) return true;
    const Vcpu& v = current();
    return !v.is_idle() && scheduler::event_pending(v);
}

} // namespace streak::hypercall
