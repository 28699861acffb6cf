// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/cpu_mask.hpp"
#include "lib/function_ref.hpp"
#include "sched/pairing_heap.hpp"

// Weighted fair sharing of one CPU. Every entity has a virtual clock that runs slower the heavier it is;
// the one whose clock is furthest behind runs next. A sleeper comes back at most a little behind the others,
// so it is served soon but can't save up time. A new one starts a slice ahead: whoever made it finishes
// the request of which that was a part. An entity with a cap gets that share of each period
// and is set aside until the next one when it is used up.
//
// The queue takes no locks and reads no clock; the running entity is not in it.

namespace streak::sched {

inline constexpr u32 default_weight = 256;
inline constexpr u64 slice_ns = 10'000'000;       ///< time on the CPU when another one waits
inline constexpr u64 min_slice_ns = 5'000'000;    ///< never less, however many wait: switching costs, too
inline constexpr u64 wake_credit_ns = 3'000'000;  ///< how far behind a sleeper may come back
inline constexpr u64 preempt_margin_ns = 500'000; ///< how far ahead the running one must be to be stopped
inline constexpr u64 rate_limit_ns = 1'000'000;   ///< what a chosen one has for certain: work gathers for the next one
inline constexpr u64 cap_period_ns = 30'000'000;
inline constexpr u32 full_cpu = 1000; ///< caps are in thousandths of a CPU

/// What the queue knows about a schedulable thing.
struct Entity : HeapNode {
    u32 weight = default_weight; ///< 1 … 65535
    u32 cap = 0;                 ///< thousandths of a CPU; 0: no limit
    u64 vruntime = 0;            ///< virtual ns
    u64 period_start = 0;        ///< of the cap
    u64 period_used = 0;         ///< ns run in this period
    u64 release = 0;             ///< set aside until then, when throttled
    u64 chosen = 0;              ///< when it was given the CPU
    u64 slice_end = 0;           ///< till when it has it though others wait; 0: not told yet
    u64 charged = 0;             ///< while it has the CPU: its time is booked up to then
    bool queued = false;
    bool throttled = false;
    bool fresh = true; ///< never ran
};

class RunQueue {
public:
    /// An entity becomes a candidate. `woken`: it slept, as opposed to losing the CPU.
    void enqueue(Entity& entity, u64 now, bool woken);
    /// Takes a queued entity out.
    void dequeue(Entity& entity);
    /// Takes out the entity to run next, from `now` on; nullptr when there is none that may.
    [[nodiscard]] Entity* pop(u64 now);
    /// That entity without taking it.
    [[nodiscard]] Entity* top(u64 now);

    /// The entity has the CPU from now on.
    static void start(Entity& entity, u64 now) {
        entity.chosen = entity.charged = now;
        entity.slice_end = 0;
    }
    /// Books the running entity's CPU time up to `now`. (None when the clock of the CPU that asks is behind its own.)
    void charge(Entity& entity, u64 now);
    /// The running entity gives way to the next one waiting.
    void give_way(Entity& entity, u64 now);

    /// Should `other` take the CPU from `running`, once that has had it for rate_limit_ns?
    [[nodiscard]] static bool preempts(const Entity& other, const Entity& running);
    /// When `running` has to give the CPU to `other`, which waits.
    [[nodiscard]] static u64 turn_end(const Entity& running, const Entity& other);
    /// Has the entity used up its cap for now?
    [[nodiscard]] static bool exhausted(const Entity& entity, u64 now);
    /// How long the running entity may go on before the queue has to be asked again; no_limit: for ever.
    [[nodiscard]] u64 time_slice(const Entity& running, u64 now) const;
    /// When a throttled entity comes back; no_limit: there is none.
    [[nodiscard]] u64 next_release() const;

    /// Entities waiting, throttled ones not counted.
    [[nodiscard]] u32 waiting() const { return waiting_; }
    [[nodiscard]] u32 throttled() const { return throttled_count_; }

    /// A waiting entity for which `fits` is true, for another CPU to take; nullptr.
    [[nodiscard]] Entity* find(FunctionRef<bool(Entity&)> fits) const;

    /// An entity that is not queued goes from this queue to another one and keeps its lead or lag. (The other
    /// queue's clock may advance meanwhile: no lock is needed for that.)
    void hand_over(Entity& entity, const RunQueue& to) const { entity.vruntime += to.clock() - clock(); }
    [[nodiscard]] u64 clock() const { return clock_.load(std::memory_order_relaxed); }

    static constexpr u64 no_limit = ~0ull;

private:
    struct LessRuntime {
        bool operator()(const HeapNode& a, const HeapNode& b) const {
            return static_cast<i64>(static_cast<const Entity&>(a).vruntime - static_cast<const Entity&>(b).vruntime) <
                   0;
        }
    };
    struct LessRelease {
        bool operator()(const HeapNode& a, const HeapNode& b) const {
            return static_cast<const Entity&>(a).release < static_cast<const Entity&>(b).release;
        }
    };

    void release_due(u64 now);

    PairingHeap<LessRuntime> ready_;
    PairingHeap<LessRelease> throttled_;
    void advance_to(u64 time);

    std::atomic<u64> clock_{1ull << 32}; ///< virtual time of the queue, never runs backwards
    u32 waiting_ = 0;
    u32 throttled_count_ = 0;
};

/// What choose_cpu asks about a CPU: entities running and waiting there.
using LoadOf = FunctionRef<u32(CpuId)>;

/// Where an entity that becomes runnable should wait: an allowed, online CPU; preferred ones, its previous one
/// and idle ones first. Without an allowed CPU online: any online one.
[[nodiscard]] CpuId choose_cpu(CpuId previous, const CpuMask& allowed, const CpuMask& preferred, const CpuMask& online,
                               LoadOf load);

/// The CPU whose queue an idle CPU should take from: the one with most entities waiting (`waiting` > 0), or
/// max_cpus when there is none.
[[nodiscard]] CpuId choose_victim(CpuId idle_cpu, const CpuMask& online, LoadOf waiting);

} // namespace streak::sched
