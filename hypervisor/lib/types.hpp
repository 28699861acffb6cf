// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>

namespace streak {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

inline constexpr unsigned max_cpus = 256;   ///< processors Streak can start
inline constexpr unsigned vcpu_limit = 128; ///< virtual CPUs of one domain

/// [[likely]] and [[unlikely]] for conditions that fit on the line of what depends on them.
template <class T> [[gnu::always_inline]] constexpr bool likely(const T& condition) {
    return __builtin_expect(static_cast<bool>(condition), 1);
}
template <class T> [[gnu::always_inline]] constexpr bool unlikely(const T& condition) {
    return __builtin_expect(static_cast<bool>(condition), 0);
}

/// A base of classes whose objects stay where and what they are.
struct NotCopyable {
    NotCopyable() = default;
    NotCopyable(const NotCopyable&) = delete;
    NotCopyable& operator=(const NotCopyable&) = delete;
};

} // namespace streak
