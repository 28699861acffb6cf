// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"

// The end of a domain's run (xen/sched.h, SHUTDOWN_*). The control domain takes the machine with it.

namespace streak {

/// Stops all vCPUs of the domain, keeps `reason` for the tools (unless a code was latched) and tells them by
/// VIRQ_DOM_EXC. The calling vCPU, when it is one of them, leaves its CPU on the exit path. Repeated calls do
/// nothing. dom0: powers off, reboots or halts the machine, and does not return.
void shut_down(Domain& domain, u32 reason);

/// DOMCTL_resumedomain: undoes it. False when the domain had not shut down.
bool resume(Domain& domain);

/// SCHEDOP_shutdown_code: the code that a later shut_down() reports.
void latch_shutdown_code(Domain& domain, u32 reason);

/// SCHEDOP_watchdog: id 0 makes one that ends the domain after `seconds`; another id sets it anew, or
/// ends it when `seconds` is 0. Returns the id of a new one, else 0. EINVAL, ENOSPC.
[[nodiscard]] Result<u32> set_watchdog(Domain& domain, u32 id, u32 seconds);

} // namespace streak
