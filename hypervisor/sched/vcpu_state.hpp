// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <atomic>

#include "lib/types.hpp"

namespace streak::sched {

/// The states of a vCPU that accounting and tools tell apart; numbered like RUNSTATE_* (xen/vcpu.h).
enum class RunState : u8 { running = 0, runnable = 1, blocked = 2, offline = 3 };

/// Why a vCPU may not run. All reasons are independent: it is runnable when there is none.
///
///   up() ──────▶ runnable ◀──wake()── blocked/polling
///   down() ◀──── runnable ──block()─▶ blocked
///
/// Single changes are atomic, so that a waker may look without the run queue's lock. block() and
/// begin_poll() are full barriers: who sets them looks for pending events afterwards, who sends an event
/// looks at asleep() afterwards, hence one of the two sees the other.
class VcpuState {
public:
    [[nodiscard]] bool runnable() const { return flags_.load() == 0 && pauses_.load() == 0; }
    [[nodiscard]] bool asleep() const { return (flags_.load() & (blocked_flag | polling_flag)) != 0; }
    [[nodiscard]] bool polling() const { return (flags_.load() & polling_flag) != 0; }
    [[nodiscard]] bool is_up() const { return (flags_.load() & offline_flag) == 0; }
    [[nodiscard]] bool paused() const { return pauses_.load() != 0; }

    void block() { flags_.fetch_or(blocked_flag); }
    void begin_poll() { flags_.fetch_or(polling_flag); }
    /// Ends blocking and polling. True when it was asleep.
    bool wake() { return (flags_.fetch_and(~(blocked_flag | polling_flag)) & (blocked_flag | polling_flag)) != 0; }

    /// Each returns whether that changed anything.
    bool up() { return (flags_.fetch_and(~offline_flag) & offline_flag) != 0; }
    bool down() { return (flags_.fetch_or(offline_flag) & offline_flag) == 0; }

    void pause() { pauses_.fetch_add(1); }
    /// True when this was the last pause. Unpaired calls are ignored.
    bool unpause() {
        u32 now = pauses_.load();
        do {
            if (now == 0) return false;
        } while (!pauses_.compare_exchange_weak(now, now - 1));
        return now == 1;
    }

    /// How time is booked, given whether a CPU executes it and whether its domain is paused. Asleep and
    /// paused counts as blocked.
    [[nodiscard]] RunState classify(bool on_cpu, bool domain_paused) const {
        if (runnable() && !domain_paused) return on_cpu ? RunState::running : RunState::runnable;
        return asleep() && is_up() ? RunState::blocked : RunState::offline;
    }

private:
    static constexpr u32 offline_flag = 1, blocked_flag = 2, polling_flag = 4;

    std::atomic<u32> flags_{offline_flag};
    std::atomic<u32> pauses_{0};
};

} // namespace streak::sched
