// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>

namespace streak::loader {

/// A list with a fixed capacity. What doesn't fit is counted, so that it can be reported.
template <class T, std::size_t capacity> class Bounded {
public:
    bool push(const T& item) {
        if (count_ == capacity) {
            ++dropped_;
            return false;
        }
        items_[count_++] = item;
        return true;
    }

    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] bool empty() const { return count_ == 0; }
    [[nodiscard]] std::size_t dropped() const { return dropped_; }
    [[nodiscard]] const T& operator[](std::size_t index) const { return items_[index]; }
    [[nodiscard]] const T* begin() const { return items_.data(); }
    [[nodiscard]] const T* end() const { return items_.data() + count_; }

private:
    std::array<T, capacity> items_{};
    std::size_t count_ = 0;
    std::size_t dropped_ = 0;
};

} // namespace streak::loader
