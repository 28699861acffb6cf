// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <atomic>

#include "lib/types.hpp"

namespace streak {

/// Called while a CPU waits with interrupts off: serves its shoot-down mailbox and pauses.
/// (arch/tlb.cpp; hosted tests define it empty.)
[[gnu::cold]] void spin_wait();

/// A fair lock for data shared between CPUs. Interrupts are off in the hypervisor, so
/// there is one kind only (docs/locking.md).
class SpinLock {
public:
    void lock() {
        const u16 mine = next_.fetch_add(1, std::memory_order_relaxed);
        while (serving_.load(std::memory_order_acquire) != mine) spin_wait();
    }
    [[nodiscard]] bool try_lock() {
        u16 now = serving_.load(std::memory_order_acquire);
        return next_.compare_exchange_strong(now, static_cast<u16>(now + 1), std::memory_order_acquire);
    }
    void unlock() {
        serving_.store(static_cast<u16>(serving_.load(std::memory_order_relaxed) + 1), std::memory_order_release);
    }

private:
    std::atomic<u16> next_{0};
    std::atomic<u16> serving_{0};
};

/// Holds a lock for a scope.
class [[nodiscard]] LockGuard : NotCopyable {
public:
    explicit LockGuard(SpinLock& lock) : lock_(lock) { lock_.lock(); }
    ~LockGuard() { lock_.unlock(); }

private:
    SpinLock& lock_;
};

} // namespace streak
