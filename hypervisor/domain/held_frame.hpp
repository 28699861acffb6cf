// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/grant_use.hpp"

namespace streak {

/// A frame of a domain that stays in place, and writable if that was asked for, as long as this lives. Empty: the frame is
/// not the domain's RAM, or not writable.
class HeldFrame {
public:
    HeldFrame() = default;
    HeldFrame(const Domain& owner, Mfn frame, bool write)
        : page_(grants::take_frame(owner, frame, write)), write_(write) {}
    HeldFrame(HeldFrame&& other) noexcept : page_(std::exchange(other.page_, nullptr)), write_(other.write_) {}
    HeldFrame& operator=(HeldFrame&& other) noexcept {
        std::swap(page_, other.page_);
        std::swap(write_, other.write_);
        return *this;
    }
    ~HeldFrame() {
        if (page_) grants::drop_frame(mm::mfn_of(*page_), write_);
    }

    explicit operator bool() const { return page_ != nullptr; }
    template <class T> [[nodiscard]] T* memory() const { return mm::page_memory<T>(*page_); }
    /// The same; the references are the caller's from now on.
    [[nodiscard]] void* release() { return mm::page_memory(*std::exchange(page_, nullptr)); }

private:
    mm::PageInfo* page_ = nullptr;
    bool write_ = false;
};

} // namespace streak
