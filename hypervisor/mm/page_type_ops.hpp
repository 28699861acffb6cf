// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "mm/page_type.hpp"

// The lock-free half of the state machine of PageInfo::count and PageInfo::type. `Env` is what differs between
// the hypervisor (mm/host_env.hpp) and hosted tests:
//   put_page(page)           drops a general reference
//   stamp()                  the shoot-down clock
//   flush_stale(page)        no CPU keeps a TLB entry older than the frame's stamp
//   wait()                   one turn of a spin loop
//   descriptors_ok(page)     obey the descriptors in a page the rules?

namespace streak::mm {

/// Takes a general reference if `page` is in use and belongs to `owner`.
template <class Env> [[nodiscard]] inline bool take_reference(Env& env, PageInfo& page, DomId owner) {
    u64 count = page.count.load(std::memory_order_relaxed);
    do {
        if (unlikely((count & count_bits::mask) == 0 || page.owner != owner.raw())) return false;
    } while (!page.count.compare_exchange_weak(count, count + 1, std::memory_order_acquire, std::memory_order_relaxed));
    // The owner is stable only now.
    if (likely(page.owner == owner.raw())) return true;
    env.put_page(page);
    return false;
}

/// Ends a change of type that was announced by `busy`: waits for stale translations to go, judges contents.
template <class Env> [[nodiscard]] bool complete_type_change(Env& env, PageInfo& page, PageType type, PageType before) {
    if (before != PageType::none && before != type) env.flush_stale(page);
    if (type == PageType::segment_descriptor && !env.descriptors_ok(page)) {
        page.type.store(0, std::memory_order_release);
        return false;
    }
    page.type.store(type_bits::of(type) | 1, std::memory_order_release);
    return true;
}

/// take_shared_type() for all but one more use of the present type.
template <class Env> [[nodiscard, gnu::noinline]] bool take_new_type(Env& env, PageInfo& page, PageType type) {
    u64 word = page.type.load(std::memory_order_relaxed);
    for (;;) {
        const bool same = (word & type_bits::type_mask) == type_bits::of(type);
        u64 next = word + 1;
        bool change = false;
        if (word & type_bits::busy) {
            if (!same) return false;
            env.wait();
            word = page.type.load(std::memory_order_relaxed);
            continue;
        }
        if (!same || (type_bits::count(word) == 0 && type != PageType::writable)) {
            if (type_bits::count(word) != 0) return false;
            change = type_bits::type(word) != PageType::none || type != PageType::writable;
            next = type_bits::of(type) | (change ? type_bits::busy : 0) | 1;
        }
        if (page.type.compare_exchange_weak(word, next, std::memory_order_acquire, std::memory_order_relaxed))
            return !change || complete_type_change(env, page, type, type_bits::type(word));
    }
}

/// Takes a writable or segment-descriptor reference. False when the frame is in use as something else, or
/// its descriptors are bad.
template <class Env>
[[nodiscard, gnu::always_inline]] inline bool take_shared_type(Env& env, PageInfo& page, PageType type) {
    u64 word = page.type.load(std::memory_order_relaxed);
    // A frame that was writable last needs no flush, used at present or not.
    if (type == PageType::writable &&
        (word & (type_bits::type_mask | type_bits::busy)) == type_bits::of(PageType::writable) &&
        page.type.compare_exchange_strong(word, word + 1, std::memory_order_acquire, std::memory_order_relaxed))
        return true;
    return take_new_type(env, page, type);
}

/// drop_shared_type() when it may be the last one. The stamp is written first: whoever sees the count at zero
/// sees it.
template <class Env> [[gnu::noinline]] void drop_last_type(Env& env, PageInfo& page) {
    u64 word = page.type.load(std::memory_order_relaxed);
    do {
        if (type_bits::count(word) == 1) page.tlb_stamp = env.stamp();
    } while (!page.type.compare_exchange_weak(word, word - 1, std::memory_order_release, std::memory_order_relaxed));
}

/// Drops a writable or segment-descriptor reference.
template <class Env> [[gnu::always_inline]] inline void drop_shared_type(Env& env, PageInfo& page) {
    u64 word = page.type.load(std::memory_order_relaxed);
    if (type_bits::count(word) == 1 ||
        !page.type.compare_exchange_strong(word, word - 1, std::memory_order_release, std::memory_order_relaxed))
        drop_last_type(env, page);
}

/// Makes an unused frame a table of `type` with one reference and nothing validated. The caller holds the
/// owner's page lock. False when the frame is in use.
template <class Env> [[nodiscard]] bool begin_table(Env& env, PageInfo& page, PageType type) {
    u64 word = page.type.load(std::memory_order_relaxed);
    do {
        if ((word & type_bits::busy) || type_bits::count(word) != 0) return false;
    } while (!page.type.compare_exchange_weak(word, type_bits::of(type) | 1, std::memory_order_acquire,
                                              std::memory_order_relaxed));
    const PageType before = type_bits::type(word);
    if (before != PageType::none && before != type) env.flush_stale(page);
    page.progress = 0;
    return true;
}

/// The last reference to a table whose contents hold no references any more goes.
template <class Env> void end_table(Env& env, PageInfo& page) {
    page.progress = 0;
    page.tlb_stamp = env.stamp();
    page.type.store(page.type.load(std::memory_order_relaxed) & type_bits::type_mask, std::memory_order_release);
}

} // namespace streak::mm
