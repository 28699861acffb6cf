// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/static_vector.hpp"

namespace streak::loader {

/// A list with a fixed capacity. What doesn't fit is counted, so that it can be reported.
template <class T, std::size_t capacity> class Bounded : public StaticVector<T, capacity> {
public:
    void push(const T& item) { dropped_ += !this->push_back(item); }
    [[nodiscard]] std::size_t dropped() const { return dropped_; }

private:
    std::size_t dropped_ = 0;
};

} // namespace streak::loader
