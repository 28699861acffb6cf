// SPDX-License-Identifier: GPL-2.0-only
#include "domain/scheduler.hpp"

#include "arch/clock.hpp"
#include "arch/descriptor.hpp"
#include "arch/smp.hpp"
#include "arch/tlb.hpp"
#include "domain/context_switch.hpp"
#include "domain/run_queues.hpp"
#include "domain/time.hpp"
#include "domain/trace.hpp"
#include "lib/panic.hpp"

namespace streak::scheduler {

constinit std::array<CpuQueue, max_cpus> queues{};

namespace {

VcpuSched& sched_of(sched::Entity& entity) { return static_cast<VcpuSched&>(entity); }

/// An entity of a busy CPU that may run here and is not still being saved there; its queue is locked.
Vcpu* take_from(CpuQueue& victim, CpuQueue& mine, CpuId here, u64 now) {
    sched::Entity* found = victim.queue.find([&](sched::Entity& entity) {
        const VcpuSched& s = sched_of(entity);
        return !s.on_cpu.load() && s.hard.test(here);
    });
    if (found == nullptr) return nullptr;
    victim.queue.dequeue(*found);
    victim.queue.hand_over(*found, mine.queue);
    sched::RunQueue::start(*found, now);
    sched_of(*found).cpu.store(here.raw());
    return sched_of(*found).vcpu;
}

/// Work for a CPU that has none. Its own queue is locked; the other one is only tried.
Vcpu* steal(CpuQueue& mine, CpuId here, u64 now) {
    if (arch::online_cpu_count() == 1) return nullptr;
    const CpuId victim =
        sched::choose_victim(here, smp::online(), [](CpuId cpu) { return queues[cpu.raw()].queue.waiting(); });
    if (victim.raw() == max_cpus || !queues[victim.raw()].lock.try_lock()) return nullptr;
    Vcpu* found = take_from(queues[victim.raw()], mine, here, now);
    queues[victim.raw()].lock.unlock();
    return found;
}

/// May the running vCPU go on, without a look at who is furthest behind?
bool keeps_cpu(CpuQueue& q, const VcpuSched& running, u64 now) {
    const sched::Entity* first = q.queue.top(now);
    if (sched::RunQueue::exhausted(running, now)) return false;
    return first == nullptr || (!running.yielding && now < sched::RunQueue::turn_end(running, *first));
}

/// The vCPU to run next; `previous` is put back into the queue unless it goes on, sleeps or has to leave.
Vcpu& choose(CpuQueue& q, Vcpu& previous, CpuId here, u64 now) {
    VcpuSched& s = previous.sched;
    if (!previous.is_idle() && runnable(previous) && s.hard.test(here)) {
        if (keeps_cpu(q, s, now)) {
            s.yielding = false;
            return previous;
        }
        if (std::exchange(s.yielding, false)) q.queue.give_way(s, now);
        q.queue.enqueue(s, now, false);
    }
    Vcpu* next = nullptr;
    if (sched::Entity* first = q.queue.pop(now)) next = sched_of(*first).vcpu;
    else next = steal(q, here, now);
    if (next == nullptr) return *arch::this_cpu().idle;
    if (!next->sched.hard.test(here)) // it was woken here because it was still being saved: once only
        arch::raise_local_work(arch::Work::schedule);
    return *next;
}

void slice_over(void*) { arch::raise_local_work(arch::Work::schedule); }

/// When this CPU has to choose again without another cause. A vCPU that was just chosen (slice_end 0) gets a
/// new slice.
u64 next_choice(CpuQueue& q, Vcpu& running, u64 now) {
    const u64 release = q.queue.next_release();
    if (running.is_idle()) return release;
    VcpuSched& s = running.sched;
    const u64 slice = q.queue.time_slice(s, now);
    if (s.slice_end == 0) s.slice_end = now + std::min(slice, sched::slice_ns);
    if (slice == sched::RunQueue::no_limit) return release;
    const sched::Entity* first = q.queue.top(now);
    const u64 end = first != nullptr ? std::min(now + slice, sched::RunQueue::turn_end(s, *first)) : now + slice;
    return std::min(release, end);
}

void program_slice(CpuQueue& q, u64 at) {
    if (at == sched::RunQueue::no_limit) {
        if (q.slice.queued && q.slice_stale++ > 16) { // an early firing costs less than each reprogramming
            timers::stop(q.slice);
            q.slice_stale = 0;
        }
        return;
    }
    q.slice_stale = 0;
    if (q.slice.queued && q.slice.deadline <= at) return; // here, too
    timers::set(q.slice, at);
}

/// `left`: the account of the previous vCPU as it was when the queue was locked.
void switch_to(Vcpu& previous, const RunStateTimes& left, Vcpu& next) {
    if (!previous.is_idle())
        time::write_runstate_area(previous, left); // runnable or blocked, while its tables are loaded
    context_switch(previous, next);
    previous.sched.on_cpu.store(false);
    if (!next.is_idle()) {
        time::update_vcpu_time(next);
        time::write_runstate_area(next, next.sched.runstate);
    }
}

} // namespace

CpuQueue& lock_queue(Vcpu& vcpu) {
    for (;;) {
        const u32 cpu = vcpu.sched.cpu.load();
        queues[cpu].lock.lock();
        if (vcpu.sched.cpu.load() == cpu) return queues[cpu];
        queues[cpu].lock.unlock();
    }
}

void set_runstate(Vcpu& vcpu, bool on_cpu, u64 now) {
    RunStateTimes& times = vcpu.sched.runstate;
    sched::RunState state = on_cpu ? sched::RunState::running : sched::RunState::offline; // for the idle vCPU
    if (!vcpu.is_idle()) state = vcpu.sched.state.classify(on_cpu, vcpu.domain->pause_count.load() != 0);
    if (trace::enabled()) trace::changes(vcpu, times.state, state);
    times.total[static_cast<unsigned>(times.state)] += now - times.entered;
    times.state = state;
    times.entered = now;
}

void charge_running(CpuQueue& q, u64 now) {
    if (q.running == nullptr || q.running->is_idle()) return;
    q.queue.charge(q.running->sched, now);
}

void schedule() {
    arch::PerCpu& block = arch::this_cpu();
    CpuQueue& q = queues[block.cpu.raw()];
    Vcpu& previous = *block.current;
    tlb::maintain();

    q.lock.lock();
    const u64 now = clock::now();
    charge_running(q, now);
    Vcpu& next = choose(q, previous, block.cpu, now);
    const u64 choose_again = next_choice(q, next, now);
    if (&next != &previous) {
        if (trace::enabled()) trace::switches(previous, next);
        set_runstate(previous, false, now);
        next.sched.on_cpu.store(true);
        set_runstate(next, true, now);
        q.running = &next;
    }
    const RunStateTimes left = previous.sched.runstate;
    const bool homeless = !previous.is_idle() && &next != &previous && !previous.sched.queued && runnable(previous);
    q.lock.unlock();

    if (&next != &previous) switch_to(previous, left, next);
    if (homeless) wake(previous);
    program_slice(q, choose_again);
}

void start_cpu() {
    arch::PerCpu& block = arch::this_cpu();
    auto idle = mm::make_owned<Vcpu>();
    if (!idle) panic("no memory for the idle vCPU of CPU {}", block.cpu);
    block.idle = idle.release();
    block.idle->sched.vcpu = block.idle;
    block.idle->sched.cpu.store(block.cpu.raw());
    block.idle->sched.on_cpu.store(true);
    block.idle->sched.runstate = {.state = sched::RunState::running, .entered = clock::now(), .total = {}};
    CpuQueue& q = queues[block.cpu.raw()];
    q.slice.function = slice_over;
    q.slice.cpu = block.cpu;
    q.running = block.idle;
    block.cr3 = mm::hypervisor_cr3().raw();
    arch::set_current(*block.idle, block.idle->regs);
}

QueueInfo queue_info(CpuId cpu) {
    CpuQueue& q = queues[cpu.raw()];
    LockGuard guard(q.lock);
    return {q.queue.waiting(), q.queue.throttled(), q.running};
}

} // namespace streak::scheduler
