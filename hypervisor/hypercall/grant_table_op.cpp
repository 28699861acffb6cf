// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/grant_table_op.hpp"

#include "hypercall/handlers.hpp"

namespace streak::hypercall {

/// GNTTABOP_* of xen/grant_table.h.
Return grant_table_op(u32 cmd, RawHandle list, u32 count) {
    if (static_cast<i32>(count) < 0) return fail(Errno::EINVAL);
    // First what backends live on: a few comparisons less.
    if (cmd == GNTTABOP_map_grant_ref) return grant_map(list.as<gnttab_map_grant_ref_t>(), count);
    if (cmd == GNTTABOP_unmap_grant_ref) return grant_unmap(list.as<gnttab_unmap_grant_ref_t>(), count);
    switch (cmd) {
    case GNTTABOP_unmap_and_replace: return grant_unmap_and_replace(list.as<gnttab_unmap_and_replace_t>(), count);
    case GNTTABOP_copy: return grant_copy(list.as<gnttab_copy_t>(), count);
    case GNTTABOP_transfer: return grant_transfer(list.as<gnttab_transfer_t>(), count);
    case GNTTABOP_setup_table: return grant_setup_table(list, count);
    case GNTTABOP_query_size: return grant_query_size(list, count);
    case GNTTABOP_set_version: return grant_set_version(list);
    case GNTTABOP_get_version: return grant_get_version(list);
    case GNTTABOP_get_status_frames: return grant_get_status_frames(list, count);
    case GNTTABOP_swap_grant_ref: return grant_swap(list, count);
    case GNTTABOP_cache_flush: return grant_cache_flush(list, count);
    default: return fail(Errno::ENOSYS); // GNTTABOP_dump_table, too, as the incumbent answers
    }
}

} // namespace streak::hypercall
