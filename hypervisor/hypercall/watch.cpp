// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/watch.hpp"

#include "arch/clock.hpp"
#include "hypercall/dispatch.hpp"

namespace streak::hypercall {

namespace {

using Watchers = std::array<const Watcher*, static_cast<unsigned>(WatchedBy::count_)>;

constinit SpinLock lock; ///< of those who set
constinit Watchers watchers{};

/// Somebody may set or take it away meanwhile.
[[nodiscard]] const Watcher* watcher_at(unsigned i) { return __atomic_load_n(&watchers[i], __ATOMIC_RELAXED); }

Return watched_call(u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5) {
    const Vcpu& v = current();
    const bool in_multicall = v.multicall_entry != nullptr;
    const u64 number = in_multicall ? v.multicall_entry->op : v.regs.rax; // < table_size: it led here
    const WatchedCall call{static_cast<u32>(number), in_multicall, {a0, a1, a2, a3, a4, a5}, clock::read_tsc()};
    for (unsigned i = 0; i < watchers.size(); ++i)
        if (const Watcher* w = watcher_at(i); w && w->begins) w->begins(call);
    const Return result = table[number](a0, a1, a2, a3, a4, a5);
    for (unsigned i = 0; i < watchers.size(); ++i)
        if (const Watcher* w = watcher_at(i); w && w->ends) w->ends(call, result);
    return result;
}

constexpr Table make_watched_table() {
    Table t{};
    t.fill(watched_call);
    return t;
}

constinit const Table watched_table = make_watched_table();

} // namespace

void set_watcher(WatchedBy who, const Watcher* watcher) {
    LockGuard guard(lock);
    __atomic_store_n(&watchers[static_cast<unsigned>(who)], watcher, __ATOMIC_RELAXED);
    __atomic_store_n(&table_in_use, watchers == Watchers{} ? &table : &watched_table, __ATOMIC_RELEASE);
}

} // namespace streak::hypercall
