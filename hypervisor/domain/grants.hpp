// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "grant/grant_table.hpp"
#include "grant/maptrack.hpp"

// A domain's grant table and maptrack with what the pure parts leave out: frames, references, locks.
//
// `Domain::grant_lock` guards the table, `maptrack_lock` the maptrack. Each is held for bookkeeping only, never
// two of them at once, and no page-table lock is taken inside.

namespace streak::grants {

/// ENOMEM.
[[nodiscard]] Result<> create(Domain& domain, u32 max_frames, u32 max_maptrack_frames);
/// Ends all uses the domain makes of others' grants, in rounds. ERESTART: call again.
[[nodiscard]] Result<> relinquish(Domain& domain);
/// Frees the tables, with the domain.
void destroy(Domain& domain);

/// Does anybody map a frame of entries or statuses?
[[nodiscard]] bool frames_in_use(Domain& domain);

/// Makes the table at least `frames` long. EINVAL: beyond its limit; ENOMEM.
[[nodiscard]] Result<> grow(Domain& domain, u32 frames);
/// A frame of entries or of statuses, which is made if need be (XENMEM_acquire_resource, add_to_physmap).
/// EINVAL: beyond the limit, or no statuses under version 1; ENOMEM.
[[nodiscard]] Result<Mfn> shared_frame(Domain& domain, u32 index);
[[nodiscard]] Result<Mfn> status_frame(Domain& domain, u32 index);

/// GNTTABOP_set_version. EINVAL; ENOSYS: the domain may not have it; EBUSY: entries in use, or a status frame is mapped; ENOMEM; ERANGE.
[[nodiscard]] Result<> set_version(Domain& domain, u32 version);

} // namespace streak::grants
