// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"

namespace streak {

/// Moves a vCPU's vcpu_info into a frame of its domain (VCPUOP_register_vcpu_info), for good: the frame
/// stays writable until the vCPU goes. All events are offered again afterwards. EINVAL: done before, not
/// the domain's frame, or the structure would cross the page's end or is not aligned to 8 bytes.
[[nodiscard]] Result<> register_vcpu_info(Vcpu& vcpu, Mfn mfn, u32 offset);

/// Back to the shared page; drops the frame's references (domain's end, and reset).
void unregister_vcpu_info(Vcpu& vcpu);

} // namespace streak
