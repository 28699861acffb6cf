// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

// CR0, CR2, CR3 and CR4 as the guest's kernel sees them. Only CR0.TS and four bits of CR4 are its own to change.

namespace streak::pv {

/// CR0.TS of the current vCPU: FPU instructions raise #NM while it is set.
void set_task_switched(Vcpu& v, bool on);

/// False: there is no such register.
[[nodiscard]] bool read_control_register(const Vcpu& v, unsigned number, u64& value);

enum class CrWrite { done, refused, again };

/// `refused`: no such register, or a forbidden value; `again`: preempted, execute the instruction once more.
[[nodiscard]] CrWrite write_control_register(Vcpu& v, unsigned number, u64 value);

/// The bits of `value` that a guest may choose for its CR4 (PvState::cr4).
[[nodiscard]] u64 choosable_cr4(u64 value);

/// CR4 as the guest reads it.
[[nodiscard]] u64 guest_cr4(const Vcpu& v);

} // namespace streak::pv
