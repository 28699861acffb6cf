// SPDX-License-Identifier: GPL-2.0-only
#include "sched/run_queue.hpp"

#include <algorithm>
#include <utility>

namespace streak::sched {

namespace {

[[nodiscard]] bool before(u64 a, u64 b) { return static_cast<i64>(a - b) < 0; }

/// Real time on the virtual clock of an entity.
[[nodiscard]] u64 weighted(u64 ns, u32 weight) { return ns * default_weight / std::max(weight, 1u); }

[[nodiscard]] u64 budget(const Entity& entity) { return cap_period_ns / full_cpu * entity.cap; }

/// Starts a new period when the old one is over.
void renew_period(Entity& entity, u64 now) {
    if (now - entity.period_start >= cap_period_ns) {
        entity.period_start = now;
        entity.period_used = 0;
    }
}

} // namespace

bool RunQueue::exhausted(const Entity& entity, u64 now) {
    return entity.cap != 0 && now - entity.period_start < cap_period_ns && entity.period_used >= budget(entity);
}

void RunQueue::enqueue(Entity& entity, u64 now, bool woken) {
    if (std::exchange(entity.fresh, false)) {
        entity.vruntime = clock() + slice_ns;
    } else if (woken) {
        const u64 earliest = clock() - weighted(wake_credit_ns, entity.weight);
        if (before(entity.vruntime, earliest)) entity.vruntime = earliest;
    }
    entity.queued = true;
    entity.throttled = exhausted(entity, now);
    if (entity.throttled) {
        entity.release = entity.period_start + cap_period_ns;
        throttled_.insert(entity);
        ++throttled_count_;
    } else {
        ready_.insert(entity);
        ++waiting_;
    }
}

void RunQueue::dequeue(Entity& entity) {
    if (entity.throttled) {
        throttled_.remove(entity);
        --throttled_count_;
    } else {
        ready_.remove(entity);
        --waiting_;
    }
    entity.queued = entity.throttled = false;
}

void RunQueue::release_due(u64 now) {
    while (!throttled_.empty()) {
        auto& first = *static_cast<Entity*>(throttled_.top());
        if (first.release > now) return;
        dequeue(first);
        renew_period(first, now);
        enqueue(first, now, true);
    }
}

void RunQueue::advance_to(u64 time) {
    if (before(clock(), time)) clock_.store(time, std::memory_order_relaxed);
}

Entity* RunQueue::top(u64 now) {
    release_due(now);
    return static_cast<Entity*>(ready_.top());
}

Entity* RunQueue::pop(u64 now) {
    Entity* first = top(now);
    if (first != nullptr) {
        dequeue(*first);
        renew_period(*first, now);
        advance_to(first->vruntime);
        start(*first, now);
    }
    return first;
}

void RunQueue::charge(Entity& entity, u64 now) {
    if (!before(entity.charged, now)) return;
    const u64 ns = now - std::exchange(entity.charged, now);
    entity.vruntime += weighted(ns, entity.weight);
    if (entity.cap != 0) {
        if (!exhausted(entity, now)) renew_period(entity, now);
        entity.period_used += ns;
    }
    u64 behind = entity.vruntime;
    if (!ready_.empty())
        behind =
            std::min(behind, static_cast<Entity*>(ready_.top())->vruntime, [](u64 a, u64 b) { return before(a, b); });
    advance_to(behind);
}

void RunQueue::give_way(Entity& entity, u64 now) {
    const Entity* next = top(now);
    if (next != nullptr && !before(next->vruntime, entity.vruntime)) entity.vruntime = next->vruntime + 1;
}

bool RunQueue::preempts(const Entity& other, const Entity& running) {
    return before(other.vruntime + weighted(preempt_margin_ns, other.weight), running.vruntime);
}

u64 RunQueue::turn_end(const Entity& running, const Entity& other) {
    return preempts(other, running) ? std::min(running.slice_end, running.chosen + rate_limit_ns) : running.slice_end;
}

u64 RunQueue::time_slice(const Entity& running, u64 now) const {
    u64 limit = no_limit;
    if (waiting_ != 0) limit = std::max(slice_ns / (waiting_ + 1), min_slice_ns);
    if (running.cap != 0) {
        const u64 period_end = running.period_start + cap_period_ns;
        const u64 used = now >= period_end ? 0 : running.period_used;
        const u64 left = used >= budget(running) ? 0 : budget(running) - used;
        limit = std::min(limit, std::max<u64>(left, 100'000));
    }
    return limit;
}

u64 RunQueue::next_release() const {
    return throttled_.empty() ? no_limit : static_cast<const Entity*>(throttled_.top())->release;
}

Entity* RunQueue::find(FunctionRef<bool(Entity&)> fits) const {
    return static_cast<Entity*>(ready_.find([&](HeapNode& node) { return fits(static_cast<Entity&>(node)); }));
}

CpuId choose_cpu(CpuId previous, const CpuMask& allowed, const CpuMask& preferred, const CpuMask& online, LoadOf load) {
    CpuMask candidates = allowed & online;
    if (candidates.empty()) candidates = online;
    if (candidates.test(previous) && preferred.test(previous) && load(previous) == 0) return previous;

    CpuId best = previous;
    u32 best_cost = ~0u;
    candidates.for_each([&](CpuId cpu) {
        const u32 cost = std::min(load(cpu), 1u << 20) * 4 + (preferred.test(cpu) ? 0 : 2) + (cpu == previous ? 0 : 1);
        if (cost < best_cost) {
            best = cpu;
            best_cost = cost;
        }
    });
    return best;
}

CpuId choose_victim(CpuId idle_cpu, const CpuMask& online, LoadOf waiting) {
    CpuId busiest(max_cpus);
    u32 most = 0;
    online.for_each([&](CpuId cpu) {
        const u32 there = cpu == idle_cpu ? 0 : waiting(cpu);
        if (there > most) {
            most = there;
            busiest = cpu;
        }
    });
    return busiest;
}

} // namespace streak::sched
