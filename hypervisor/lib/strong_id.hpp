// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <compare>
#include <cstdint>

namespace streak {

/// A number of the ABI or the hardware with a type of its own, so that a machine
/// frame can't be passed where a guest frame is meant. `Tag` only names the type.
template <class Tag, class Rep> class StrongId {
public:
    using rep = Rep;

    constexpr StrongId() = default;
    constexpr explicit StrongId(Rep value) : value_(value) {}

    [[nodiscard]] constexpr Rep raw() const { return value_; }

    friend constexpr bool operator==(StrongId, StrongId) = default;
    friend constexpr auto operator<=>(StrongId, StrongId) = default;

    constexpr StrongId operator+(Rep n) const { return StrongId(static_cast<Rep>(value_ + n)); }
    constexpr StrongId operator-(Rep n) const { return StrongId(static_cast<Rep>(value_ - n)); }
    constexpr Rep operator-(StrongId other) const { return static_cast<Rep>(value_ - other.value_); }
    constexpr StrongId& operator++() {
        ++value_;
        return *this;
    }

private:
    Rep value_{};
};

} // namespace streak
