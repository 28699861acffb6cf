// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// SYSCTLs with files of their own, after the hook was asked.

namespace streak::hypercall {

/// XEN_SYSCTL_tbuf_op. EINVAL, ENOMEM as trace::set_size() and trace::enable() have them; EFAULT. (trace_op.cpp)
[[nodiscard]] Result<> trace_buffers(xen_sysctl_tbuf_op& op);

/// XEN_SYSCTL_perfc_op. EINVAL: no such command; ENOMEM; EFAULT. (call_counters.cpp)
[[nodiscard]] Result<> call_counters(xen_sysctl_perfc_op& op);

} // namespace streak::hypercall
