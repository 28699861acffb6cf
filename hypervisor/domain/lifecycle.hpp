// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"

// Making and ending domains. Every subsystem registers what it sets up and takes down (docs/architecture.md).

namespace streak {

/// The id of the calling domain; idle_id on an idle CPU.
[[nodiscard]] DomId caller_id();

namespace lifecycle {

struct NewDomain {
    DomId id = invalid_domid; ///< invalid_domid: the next unused
    bool privileged = false;
    u32 max_vcpus = 1;
    u64 max_frames = 0; ///< the account's limit
    u32 max_grant_frames = 64;
    u32 max_maptrack_frames = 1024;
    u32 max_grant_version = 2;
    u32 max_evtchn_port = 0; ///< highest port; 0: all the ABI has
    u32 sid = 0;
    xen_domain_handle_t handle{};
};

/// A domain with its vCPUs (not running), shared info, event ports and grant table, entered in the registry
/// and paused once by the tools. EEXIST, ENOMEM, EINVAL; ENOSPC: all ids are in use.
[[nodiscard]] Result<Domain*> create(const NewDomain& wanted);

/// Ends a domain for good: stops it, returns what it holds, and drops it once nobody else uses its frames.
/// ERESTART: call again. A repeated call after that does nothing.
[[nodiscard]] Result<> destroy(Domain& domain);

/// Pauses and unpauses on behalf of the tools. EBUSY: too often; EINVAL: not paused.
[[nodiscard]] Result<> pause(Domain& domain);
[[nodiscard]] Result<> unpause(Domain& domain);

/// Frees the structure itself, with the last reference.
void free_domain(Domain& domain);

/// Keeps an id for a domain that is being made: the given one, or, for invalid_domid, the next unused. EEXIST, ENOSPC.
[[nodiscard]] Result<DomId> reserve_id(DomId wanted);
void release_id(DomId id);
/// Makes the domain known under its id.
void enter_registry(Domain& domain);

} // namespace lifecycle
} // namespace streak
