// SPDX-License-Identifier: GPL-2.0-only
#include "sched/timer_heap.hpp"

namespace streak::sched {

bool TimerHeap::set(TimerNode& timer, u64 deadline) {
    const u64 before = earliest();
    if (timer.queued) heap_.remove(timer);
    timer.deadline = deadline;
    timer.queued = true;
    heap_.insert(timer);
    return earliest() != before;
}

bool TimerHeap::cancel(TimerNode& timer) {
    if (!timer.queued) return false;
    const u64 before = earliest();
    heap_.remove(timer);
    timer.queued = false;
    return earliest() != before;
}

TimerNode* TimerHeap::pop_due(u64 now) {
    if (earliest() == no_deadline || earliest() > now) return nullptr;
    auto* timer = static_cast<TimerNode*>(heap_.pop());
    timer->queued = false;
    return timer;
}

u64 TimerHeap::earliest() const {
    return heap_.empty() ? no_deadline : static_cast<const TimerNode*>(heap_.top())->deadline;
}

} // namespace streak::sched
