// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// Calls under watch. Nobody watches as a rule, and a call costs nothing more then: entry.S and multicall find their
// handlers through `table_in_use`, which is another table, of one function, while somebody does.

namespace streak::hypercall {

/// One call, of a guest's kernel or of a multicall's list; or one piece of it: preempted calls are made again.
struct WatchedCall {
    u32 number;
    bool in_multicall;
    std::array<u64, 6> arguments; ///< as they came: a handler may have changed the caller's registers by the end
    u64 begun;                    ///< TSC
};

/// What a watcher wants to hear of. Both functions run with interrupts off and no lock held, on the caller's CPU with
/// current() the vCPU that calls; either may be null. The end of an iret is in the context it went to.
struct Watcher {
    void (*begins)(const WatchedCall& call);
    void (*ends)(const WatchedCall& call, const Return& result); ///< ERESTART: the rest will follow
};

enum class WatchedBy : u8 { trace, counters, checker, count_ };

/// Calls are watched by `watcher` (of static storage) from now on; nullptr: no longer. Of calls that are
/// under way it may hear the end alone, or the beginning alone.
void set_watcher(WatchedBy who, const Watcher* watcher);

// SYSCTLs of those who do, after the hook was asked.

/// XEN_SYSCTL_tbuf_op. EINVAL, ENOMEM, EFAULT. (trace_op.cpp)
[[nodiscard]] Result<> trace_buffers(xen_sysctl_tbuf_op& op);
/// XEN_SYSCTL_perfc_op. EINVAL, ENOMEM, EFAULT. (call_counters.cpp)
[[nodiscard]] Result<> call_counters(xen_sysctl_perfc_op& op);

} // namespace streak::hypercall
