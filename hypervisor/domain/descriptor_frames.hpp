// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

namespace streak {

/// Drops the references to the frames of a vCPU's GDT or LDT. Windows that still show them have to be rewritten
/// (domain/context_switch.hpp); a stopped vCPU has none.
void release_gdt_frames(Vcpu& vcpu);
void release_ldt_frames(Vcpu& vcpu);

} // namespace streak
