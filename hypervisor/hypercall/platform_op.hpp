// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// The parts of platform_op by files. Each changes `op`, which the caller writes back.

namespace streak::hypercall {

[[nodiscard]] Result<> platform_firmware_info(xenpf_firmware_info_t& op); ///< XENPF_firmware_info
[[nodiscard]] Result<> platform_cpu_info(xenpf_pcpuinfo_t& op);           ///< XENPF_get_cpuinfo
[[nodiscard]] Result<> platform_cpu_version(xenpf_pcpu_version_t& op);    ///< XENPF_get_cpu_version
[[nodiscard]] Result<> platform_idle_time(xenpf_getidletime_t& op);       ///< XENPF_getidletime

} // namespace streak::hypercall
