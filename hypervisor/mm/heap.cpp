// SPDX-License-Identifier: GPL-2.0-only
#include "mm/heap.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "mm/frame_allocator.hpp"

namespace streak::mm {

namespace {

// Objects below a page come from free lists of powers of two; a page once cut stays cut.
struct FreeObject {
    FreeObject* next;
};

constexpr unsigned smallest_shift = 4, classes = page_shift - smallest_shift;
constinit std::array<FreeObject*, classes> free_lists{};
constinit SpinLock heap_lock;

unsigned shift_for(u64 bytes) {
    return std::max<unsigned>(smallest_shift, std::bit_width(std::max<u64>(bytes, 1) - 1));
}

bool refill(unsigned shift) {
    auto* page = static_cast<u8*>(alloc_zeroed_pages(0));
    if (!page) return false;
    FreeObject*& list = free_lists[shift - smallest_shift];
    for (u64 offset = 0; offset < page_size; offset += 1ull << shift) {
        auto* object = reinterpret_cast<FreeObject*>(page + offset);
        object->next = list;
        list = object;
    }
    return true;
}

} // namespace

void* allocate(u64 bytes) {
    const unsigned shift = shift_for(bytes);
    if (shift >= page_shift) return alloc_zeroed_pages(shift - page_shift);

    LockGuard guard(heap_lock);
    FreeObject*& list = free_lists[shift - smallest_shift];
    if (!list && !refill(shift)) return nullptr;
    FreeObject* object = list;
    list = object->next;
    std::memset(object, 0, 1ull << shift);
    return object;
}

void deallocate(void* memory, u64 bytes) {
    if (!memory) return;
    const unsigned shift = shift_for(bytes);
    if (shift >= page_shift) {
        free_pages(memory, shift - page_shift);
        return;
    }
    LockGuard guard(heap_lock);
    auto* object = static_cast<FreeObject*>(memory);
    object->next = free_lists[shift - smallest_shift];
    free_lists[shift - smallest_shift] = object;
}

} // namespace streak::mm
