// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/smp.hpp"
#include "hypercall/call.hpp"

// What SYSCTL tells of the hardware (sysctl_info.cpp).

namespace streak::hypercall {

[[nodiscard]] Result<> machine_info(xen_sysctl_physinfo& op);
[[nodiscard]] Result<> idle_times(xen_sysctl_getcpuinfo& op);
[[nodiscard]] Result<> free_memory(xen_sysctl_availheap& op);
[[nodiscard]] Result<> cpu_topology(xen_sysctl_cputopoinfo& op);
[[nodiscard]] Result<> numa_info(xen_sysctl_numainfo& op);

} // namespace streak::hypercall
