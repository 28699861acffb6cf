// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace streak::console {

/// The last bytes of a stream that nobody has read yet, never more than a fixed number of them.
class ByteQueue {
public:
    explicit ByteQueue(std::size_t capacity) : capacity_(capacity) {}

    /// Adds bytes; returns how many of the oldest went for them.
    std::size_t push(std::string_view bytes) {
        bytes_ += bytes;
        const std::size_t lost = bytes_.size() > capacity_ ? bytes_.size() - capacity_ : 0;
        bytes_.erase(0, lost);
        return lost;
    }
    void pop(std::size_t count) { bytes_.erase(0, count); }
    void clear() { bytes_.clear(); }
    [[nodiscard]] std::string_view bytes() const { return bytes_; }
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }
    [[nodiscard]] bool empty() const { return bytes_.empty(); }

private:
    std::size_t capacity_;
    std::string bytes_;
};

} // namespace streak::console
