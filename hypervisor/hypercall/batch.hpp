// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

namespace streak::hypercall {

/// The continuation of a call with a list of `T`, its length and a place for the number done: the second
/// argument's top bit says that earlier parts have been counted there already.
template <class T> struct Batch {
    static constexpr u32 continued = 1u << 31;

    GuestHandle<T> list;
    u32 count = 0;
    GuestHandle<u32> done{};
    u32 before = 0;

    [[nodiscard]] static Result<Batch> begin(GuestHandle<T> list, u32 count, GuestHandle<u32> done) {
        Batch batch{list, count & ~continued, done, 0};
        if ((count & continued) && !done.is_null()) [[unlikely]] {
            TRY_ASSIGN(so_far, done.read());
            batch.before = so_far;
        }
        return batch;
    }

    /// Reports `at` done, and continues there if `result` is ERESTART.
    [[nodiscard]] Return end(u32 at, const Result<>& result) const {
        if (!done.is_null()) TRY(done.write(before + at));
        if (likely(result)) return 0;
        if (result.error() == Errno::ERESTART) {
            set_argument(0, list.offset(at).address().raw());
            set_argument(1, (count - at) | continued);
        }
        return fail(result.error());
    }
};

} // namespace streak::hypercall
