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
        const std::size_t all = size() + bytes.size(), lost = all > capacity_ ? all - capacity_ : 0;
        const std::size_t of_old = lost < size() ? lost : size();
        start_ += of_old;
        bytes.remove_prefix(lost - of_old);
        bytes_.erase(0, start_);
        start_ = 0;
        bytes_ += bytes;
        return lost;
    }
    void pop(std::size_t count) {
        start_ += count;
        if (start_ == bytes_.size()) clear();
    }
    void clear() {
        bytes_.clear();
        start_ = 0;
    }
    [[nodiscard]] std::string_view bytes() const { return std::string_view(bytes_).substr(start_); }
    [[nodiscard]] std::size_t size() const { return bytes_.size() - start_; }
    [[nodiscard]] bool empty() const { return size() == 0; }

private:
    std::size_t capacity_;
    std::string bytes_;
    std::size_t start_ = 0; ///< bytes before it were read
};

} // namespace streak::console
