// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

namespace streak {

/// Makes `next` the owner of this CPU's registers: FPU, selectors and bases, debug registers, descriptor
/// windows, CR3, entry stack. Interrupts off; `previous` may run elsewhere afterwards.
void context_switch(Vcpu& previous, Vcpu& next);

/// Loads CR3 for the mode the current vCPU is in.
void load_tables(Vcpu& vcpu);
/// The current vCPU has got another base for its user mode, which is not active.
void use_user_base(Vcpu& vcpu);

/// Loads all debug registers of a vCPU that has breakpoints on.
void load_debug_registers(const PvState& pv);

/// Makes this CPU's windows show the descriptor frames of the vCPU (PvState::gdt_frames, ldt_frames), and LDTR
/// its LDT. Cheap where nothing differs.
void show_gdt(const Vcpu& vcpu);
void show_ldt(const Vcpu& vcpu);

} // namespace streak
