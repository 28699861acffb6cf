// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "mm/host_env.hpp"

namespace streak {

/// The page tables of a domain, its page lock held: the only way to change them.
struct [[nodiscard]] LockedTables {
    explicit LockedTables(Domain& domain)
        : guard(domain.page_lock), tables(mm::host_env, {.domain = domain.id,
                                                         .devices = domain.privileged || domain.io_memory,
                                                         .io_memory = domain.io_memory.get()}) {}

    mm::HostTables* operator->() { return &tables; }

    LockGuard guard;
    mm::HostTables tables;
};

} // namespace streak
