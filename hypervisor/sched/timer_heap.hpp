// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"
#include "sched/pairing_heap.hpp"

namespace streak::sched {

inline constexpr u64 no_deadline = ~0ull;

/// An entry of a TimerHeap.
struct TimerNode : HeapNode {
    u64 deadline = no_deadline; ///< system time, ns
    bool queued = false;
};

/// Timers in order of their deadlines. Takes no locks and calls nobody: the owner pops what is due.
class TimerHeap {
public:
    /// Queues a timer, or moves a queued one. True when the earliest deadline has changed.
    bool set(TimerNode& timer, u64 deadline);
    /// Takes a timer out; nothing happens when it is not queued. True when the earliest deadline has changed.
    bool cancel(TimerNode& timer);
    /// The first timer whose deadline is not after `now`, taken out; nullptr when none is due.
    [[nodiscard]] TimerNode* pop_due(u64 now);
    /// The earliest deadline, or no_deadline.
    [[nodiscard]] u64 earliest() const;

private:
    struct Less {
        bool operator()(const HeapNode& a, const HeapNode& b) const {
            return static_cast<const TimerNode&>(a).deadline < static_cast<const TimerNode&>(b).deadline;
        }
    };
    PairingHeap<Less> heap_;
};

} // namespace streak::sched
