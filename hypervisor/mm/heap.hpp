// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <new>
#include <utility>

#include "lib/memory_source.hpp"

namespace streak::mm {

/// Zeroed hypervisor memory of any size, 16-byte aligned (page-aligned from one page up); nullptr when out.
[[nodiscard]] void* allocate(u64 bytes);
void deallocate(void* memory, u64 bytes);
/// The same for pure data structures.
inline constexpr MemorySource heap_source{.allocate = allocate, .release = deallocate};

/// An owned object on the hypervisor heap.
template <class T> class Owned {
public:
    Owned() = default;
    explicit Owned(T* object) : object_(object) {}
    Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Owned& operator=(Owned&& other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Owned() { reset(); }

    void reset() {
        if (T* old = std::exchange(object_, nullptr)) {
            old->~T();
            deallocate(old, sizeof(T));
        }
    }
    [[nodiscard]] T* get() const { return object_; }
    [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }
    T& operator*() const { return *object_; }
    T* operator->() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }

private:
    T* object_ = nullptr;
};

/// nullptr inside when memory is out.
template <class T, class... Args> [[nodiscard]] Owned<T> make_owned(Args&&... args) {
    void* memory = allocate(sizeof(T));
    return Owned<T>(memory ? ::new (memory) T(std::forward<Args>(args)...) : nullptr);
}

} // namespace streak::mm
