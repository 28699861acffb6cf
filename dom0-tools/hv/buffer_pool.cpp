// SPDX-License-Identifier: GPL-2.0-only
#include "hv/buffer_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace streak::hv {

namespace {

constexpr std::size_t page_bytes = 4096;

constexpr std::size_t whole_pages(std::size_t bytes) { return (bytes + page_bytes - 1) & ~(page_bytes - 1); }

} // namespace

unsigned BufferPool::shift_of(std::size_t bytes) {
    return std::max<unsigned>(smallest_shift, std::bit_width(std::max<std::size_t>(bytes, 1) - 1));
}

std::span<std::byte> BufferPool::allocate(std::size_t bytes) {
    const unsigned shift = shift_of(bytes);
    if (shift > largest_shift) {
        const auto memory = map_(whole_pages(bytes));
        return memory.empty() ? memory : memory.first(bytes);
    }
    std::byte* const block = take(shift);
    if (block == nullptr) return {};
    std::memset(block, 0, bytes);
    return {block, bytes};
}

void BufferPool::release(std::span<std::byte> memory) {
    const unsigned shift = shift_of(memory.size());
    if (shift > largest_shift) return unmap_({memory.data(), whole_pages(memory.size())});
    const std::lock_guard guard(lock_);
    put(memory.data(), shift);
}

/// The smallest free block that is large enough, split in halves down to the size that is wanted.
std::byte* BufferPool::take(unsigned shift) {
    const std::lock_guard guard(lock_);
    unsigned from = shift;
    while (from <= largest_shift && free_[from] == nullptr) ++from;
    if (from > largest_shift) {
        const auto arena = map_(std::max(std::size_t{1} << shift, arena_bytes));
        if (arena.empty()) return nullptr;
        from = std::bit_width(arena.size()) - 1;
        put(arena.data(), from);
    }
    auto* const block = reinterpret_cast<std::byte*>(std::exchange(free_[from], free_[from]->next));
    while (from-- > shift) put(block + (std::size_t{1} << from), from);
    return block;
}

void BufferPool::put(std::byte* block, unsigned shift) { free_[shift] = new (block) Free{free_[shift]}; }

} // namespace streak::hv
