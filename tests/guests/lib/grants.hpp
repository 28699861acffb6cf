// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/paging.hpp"

namespace guest {

/// The first frame of this domain's grant table as version 1 entries, mapped; sets version 1 if possible.
grant_entry_v1_t* init_grants_v1();

/// Frames of the shared table; `count` of them are made to exist. The list holds up to 4.
long setup_table(unsigned count, xen_pfn_t* frames, std::int16_t& status);

/// Grants `mfn` to `domain` by entry `ref`.
void grant_access(grant_entry_v1_t* table, grant_ref_t ref, domid_t domain, u64 mfn, bool readonly = false);

/// Maps a reference of `domain` at an address; returns the handle or the negative status.
long map_grant(u64 address, grant_ref_t ref, u32 flags, domid_t domain = 0);
/// Returns the status.
long unmap_grant(u64 address, grant_handle_t handle);

} // namespace guest
