// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"

// Making and ending domains. Every subsystem registers what it sets up and takes down (docs/architecture.md).

namespace streak {

/// The id of the calling domain; idle_id on an idle CPU.
[[nodiscard]] DomId caller_id();

namespace lifecycle {

struct NewDomain {
    DomId id{};
    bool privileged = false;
    u32 max_vcpus = 1;
    u64 max_frames = 0; ///< the account's limit
    u32 max_grant_frames = 64;
    u32 max_maptrack_frames = 1024;
    u32 max_evtchn_port = 0; ///< highest port; 0: all the ABI has
};

/// A domain with its vCPUs (not running), shared info, event ports and grant table, entered in the registry
/// and paused. EEXIST, ENOMEM, EINVAL.
[[nodiscard]] Result<Domain*> create(const NewDomain& wanted);

/// Returns what the domain holds, step by step. ERESTART: call again. The caller has stopped its vCPUs.
[[nodiscard]] Result<> relinquish(Domain& domain);

/// Frees the structure itself, with the last reference.
void free_domain(Domain& domain);

[[nodiscard]] Result<> enter_registry(Domain& domain);
void leave_registry(Domain& domain);

} // namespace lifecycle
} // namespace streak
