// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <utility>

namespace streak::hv {

/// Memory for hypercalls in powers of two, kept for the next call. Thread-safe. Pages come from a function, since
/// getting them is a system call.
class BufferPool {
public:
    using Map = std::function<std::span<std::byte>(std::size_t bytes)>; ///< whole zeroed pages; empty: none left
    using Unmap = std::function<void(std::span<std::byte>)>;

    BufferPool(Map map, Unmap unmap) : map_(std::move(map)), unmap_(std::move(unmap)) {}

    /// Zeroed, aligned to 256 bytes, within one page when it fits in one.
    [[nodiscard]] std::span<std::byte> allocate(std::size_t bytes);
    /// `memory` as allocate() gave it.
    void release(std::span<std::byte> memory);

private:
    static constexpr unsigned smallest_shift = 8, largest_shift = 18; ///< 256 bytes to 256 KiB; larger is not kept
    static constexpr std::size_t arena_bytes = 64 << 10;              ///< mapped at least, and split

    /// A free block, which holds the pointer to the next one.
    struct Free {
        Free* next;
    };

    [[nodiscard]] static unsigned shift_of(std::size_t bytes);
    [[nodiscard]] std::byte* take(unsigned shift);
    void put(std::byte* block, unsigned shift);

    Map map_;
    Unmap unmap_;
    std::mutex lock_;
    std::array<Free*, largest_shift + 1> free_{}; ///< by shift
};

} // namespace streak::hv
