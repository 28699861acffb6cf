// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// Makes atomic accesses the places where other processors run: to be included behind the standard library's headers,
// and in front of the tested sources. So whatever a guest could do between any two looks at shared memory is one
// deterministic run away.

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <utility>
#include <vector>

namespace streak::fuzz {

/// What others do before the next access.
inline std::function<void()> meanwhile;

inline void others_run() {
    if (!meanwhile) return;
    const auto others = std::exchange(meanwhile, {});
    others();
    meanwhile = others;
}

template <class T> struct RacingRef : std::atomic_ref<T> {
    explicit RacingRef(T& object) : std::atomic_ref<T>((others_run(), object)) {}
    RacingRef(const RacingRef&) = default;
    T load(std::memory_order order = std::memory_order_seq_cst) const {
        others_run();
        return std::atomic_ref<T>::load(order);
    }
    T fetch_or(T value) const {
        others_run();
        return std::atomic_ref<T>::fetch_or(value);
    }
    T fetch_and(T value) const {
        others_run();
        return std::atomic_ref<T>::fetch_and(value);
    }
    bool compare_exchange_strong(T& seen, T value) const {
        others_run();
        return std::atomic_ref<T>::compare_exchange_strong(seen, value);
    }
};

} // namespace streak::fuzz

namespace std {
using streak::fuzz::RacingRef;
}

#define atomic_ref                       RacingRef
#define __atomic_load_n(...)             (::streak::fuzz::others_run(), __atomic_load_n(__VA_ARGS__))
#define __atomic_fetch_or(...)           (::streak::fuzz::others_run(), __atomic_fetch_or(__VA_ARGS__))
#define __atomic_fetch_and(...)          (::streak::fuzz::others_run(), __atomic_fetch_and(__VA_ARGS__))
#define __atomic_exchange_n(...)         (::streak::fuzz::others_run(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (::streak::fuzz::others_run(), __atomic_compare_exchange_n(__VA_ARGS__))
