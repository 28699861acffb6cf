// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <span>

namespace streak::loader {

/// Work space of a decoder: memory is handed out front to back and given back all at once, by the
/// caller, who owns it. Blocks are aligned to 64 bytes and not cleared.
class Arena {
public:
    explicit Arena(std::span<std::byte> memory) : memory_(memory) {}

    /// `bytes` bytes, or nullptr when there is no room.
    [[nodiscard]] void* take(std::size_t bytes) {
        constexpr std::size_t alignment = 64;
        const auto address = reinterpret_cast<std::uintptr_t>(memory_.data()) + used_;
        const std::size_t gap = (alignment - address % alignment) % alignment;
        if (gap > memory_.size() - used_ || bytes > memory_.size() - used_ - gap) {
            wanted_ = bytes;
            return nullptr;
        }
        used_ += gap;
        void* const block = memory_.data() + used_;
        used_ += bytes;
        return block;
    }

    [[nodiscard]] std::size_t size() const { return memory_.size(); }
    [[nodiscard]] std::size_t used() const { return used_; }
    /// Size in bytes of the request that was refused, 0 when none was.
    [[nodiscard]] std::size_t refused() const { return wanted_; }

private:
    std::span<std::byte> memory_;
    std::size_t used_ = 0;
    std::size_t wanted_ = 0;
};

} // namespace streak::loader
