// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/tlb.hpp"
#include "hypercall/call.hpp"

namespace streak::hypercall {

/// The CPUs on which the vCPUs of a guest's bitmap were last. EFAULT.
[[nodiscard]] Result<CpuMask> cpus_of_vcpus(GuestHandle<u8> bitmap);

} // namespace streak::hypercall
