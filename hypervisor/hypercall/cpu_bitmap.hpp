// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

namespace streak::hypercall {

/// A set of CPUs that tools hand in; bits beyond the hypervisor's CPUs don't matter. EFAULT.
[[nodiscard]] Result<CpuMask> read_bitmap(const xenctl_bitmap& from);
/// As many bits as the tool has room for; those beyond the hypervisor's CPUs are zero. EFAULT.
[[nodiscard]] Result<> write_bitmap(const xenctl_bitmap& to, const CpuMask& mask);

} // namespace streak::hypercall
