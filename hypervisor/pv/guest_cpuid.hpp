// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/cpu.hpp"
#include "domain/vcpu.hpp"

namespace streak::pv {

/// What CPUID answers a guest's kernel: the processor's leaves without what a PV guest can't use or Streak
/// does not switch, and the hypervisor's leaves from 0x40000000 (xen/arch-x86/cpuid.h). Exact for the current
/// vCPU; for another one the size of its XSAVE area (leaf 0xd, ebx) is the caller's.
[[nodiscard]] arch::CpuidLeaf guest_cpuid(const Vcpu& v, u32 leaf, u32 subleaf);

} // namespace streak::pv
