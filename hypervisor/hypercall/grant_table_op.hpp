// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/grant_use.hpp"
#include "hypercall/call.hpp"

// The operations of grant_table_op by files. Most take a list; each element gets its own GNTST_* status.

namespace streak::hypercall {

[[nodiscard]] Return grant_map(GuestHandle<gnttab_map_grant_ref_t> list, u32 count);
[[nodiscard]] Return grant_unmap(GuestHandle<gnttab_unmap_grant_ref_t> list, u32 count);
[[nodiscard]] Return grant_unmap_and_replace(GuestHandle<gnttab_unmap_and_replace_t> list, u32 count);
[[nodiscard]] Return grant_copy(GuestHandle<gnttab_copy_t> list, u32 count);
[[nodiscard]] Return grant_transfer(GuestHandle<gnttab_transfer_t> list, u32 count);

[[nodiscard]] Return grant_setup_table(RawHandle arg, u32 count);
[[nodiscard]] Return grant_query_size(RawHandle arg, u32 count);
[[nodiscard]] Return grant_set_version(RawHandle arg);
[[nodiscard]] Return grant_get_version(RawHandle arg);
[[nodiscard]] Return grant_get_status_frames(RawHandle arg, u32 count);
[[nodiscard]] Return grant_swap(RawHandle arg, u32 count);
[[nodiscard]] Return grant_cache_flush(RawHandle arg, u32 count);

/// Elements between two looks for something more urgent.
inline constexpr u32 grant_round = 16;

/// Runs `one` over the list: it works on a copy, whose new value is written back. ERESTART with the rest of the list.
template <class T, class One> [[nodiscard]] Return for_each_grant(GuestHandle<T> list, u32 count, One one) {
    for (u32 i = 0; i < count; ++i) {
        if (i != 0 && i % grant_round == 0 && preempt_pending()) return continue_list(list, count, i);
        T op;
        if (!list.read_into(op, i)) return fail(Errno::EFAULT);
        op.status = static_cast<i16>(one(op));
        TRY(list.write(op, i));
    }
    return 0;
}

} // namespace streak::hypercall
