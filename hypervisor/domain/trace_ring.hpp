// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <span>

#include "lib/abi.hpp"
#include "lib/types.hpp"

namespace streak::trace {

/// The ring of one CPU (xen/trace.h, t_buf): written by that CPU alone, read by a tool that maps it for writing. What
/// the tool makes of the page is its own loss: only `cons` is read, once for each record, and one that can't be stands
/// for a full ring.
class Ring {
public:
    static constexpr u32 most_words = TRACE_EXTRA_MAX;

    /// `memory` of whole pages, zeroed.
    void start(void* memory, u32 bytes) {
        shared_ = static_cast<t_buf*>(memory);
        size_ = bytes - static_cast<u32>(sizeof(t_buf));
    }
    [[nodiscard]] void* memory() const { return shared_; }

    /// A record with time stamp; without room it is lost, and a later one tells so. True when this one makes the ring
    /// half full.
    bool put(u32 event, u64 tsc, std::span<const u32> words) {
        const u32 before = unread();
        const u32 bytes = bytes_of(words.size()) + (lost_ != 0 ? bytes_of(lost_words) : 0);
        if (size_ - before < bytes + bytes_of(most_words)) { // and what may be left over at the end of the memory
            if (lost_++ == 0) first_lost_ = tsc;
            return false;
        }
        if (lost_ != 0) {
            const u32 lost[lost_words] = {lost_, 0, static_cast<u32>(first_lost_), static_cast<u32>(first_lost_ >> 32)};
            append(TRC_LOST_RECORDS, tsc, lost);
            lost_ = 0;
        }
        append(event, tsc, words);
        __atomic_store_n(&shared_->prod, produced_, __ATOMIC_RELEASE);
        return before < size_ / 2 && before + bytes >= size_ / 2;
    }

    void forget_lost() { lost_ = 0; }

private:
    static constexpr u32 lost_words = 4;

    [[nodiscard]] static constexpr u32 bytes_of(std::size_t words) {
        return static_cast<u32>(3 + words) * 4; // header and time stamp
    }

    [[nodiscard]] u32 unread() const {
        const u32 consumed = __atomic_load_n(&shared_->cons, __ATOMIC_ACQUIRE);
        if (consumed >= 2 * size_) return size_;
        const u32 bytes = produced_ >= consumed ? produced_ - consumed : produced_ + 2 * size_ - consumed;
        return bytes < size_ ? bytes : size_;
    }

    [[nodiscard]] u32 offset() const { return produced_ >= size_ ? produced_ - size_ : produced_; }
    [[nodiscard]] u32* at() const { return reinterpret_cast<u32*>(shared_ + 1) + offset() / 4; }
    void advance(u32 bytes) {
        produced_ += bytes;
        if (produced_ == 2 * size_) produced_ = 0;
    }

    /// Records don't go round the end: one without meaning takes up what is left there.
    void fill(u32 bytes) {
        const u32 words = bytes / 4 - 1;
        *at() = TRC_TRACE_WRAP_BUFFER |
                (words > most_words ? (words - 2) << TRACE_EXTRA_SHIFT | 1u << 31 : words << TRACE_EXTRA_SHIFT);
        advance(bytes);
    }

    void append(u32 event, u64 tsc, std::span<const u32> words) {
        const u32 bytes = bytes_of(words.size()), left = size_ - offset();
        if (bytes > left) fill(left);
        u32* to = at();
        *to++ = event | static_cast<u32>(words.size()) << TRACE_EXTRA_SHIFT | 1u << 31;
        *to++ = static_cast<u32>(tsc);
        *to++ = static_cast<u32>(tsc >> 32);
        for (const u32 word : words) *to++ = word;
        advance(bytes);
    }

    t_buf* shared_ = nullptr;
    u32 size_ = 0;     ///< bytes of records
    u32 produced_ = 0; ///< what `prod` is to be, modulo twice the size
    u32 lost_ = 0;
    u64 first_lost_ = 0;
};

} // namespace streak::trace
