// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

namespace streak::pv {

/// RDMSR of a guest's kernel, the current vCPU. False: #GP.
[[nodiscard]] bool read_guest_msr(Vcpu& v, u32 index, u64& value);

/// WRMSR of a guest's kernel, the current vCPU. False: #GP.
[[nodiscard]] bool write_guest_msr(Vcpu& v, u32 index, u64 value);

/// The MSR of CPUID leaf 0x40000002: a machine address written to it becomes a hypercall page.
inline constexpr u32 hypercall_page_msr = 0x40000000;

} // namespace streak::pv
