// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"

// What guests see of time: vcpu_time_info, the wall clock, run states and the VIRQ_TIMER timers.

namespace streak::time {

/// Refreshes vcpu_time_info and its secondary copy; the vCPU is current, or not running (then no copy).
void update_vcpu_time(Vcpu& vcpu);

/// Writes the wall clock into shared_info (system time 0 plus the domain's time offset).
void update_wallclock(Domain& domain);
void update_all_wallclocks();

/// The account as guests see it.
[[nodiscard]] vcpu_runstate_info_t as_abi(const RunStateTimes& times);

/// Writes the registered runstate area of a vCPU whose tables are loaded on this CPU.
void write_runstate_area(Vcpu& vcpu, const RunStateTimes& times);

/// VCPUOP_register_*: 0 ends it.
void set_runstate_area(Vcpu& vcpu, u64 address);
void set_time_area(Vcpu& vcpu, u64 address);

void init_timers(Vcpu& vcpu);
void stop_timers(Vcpu& vcpu);

/// VIRQ_TIMER every `period` ns from now on; 0 ends it. Only while the vCPU runs or is about to run.
void set_periodic(Vcpu& vcpu, u64 period);
/// VIRQ_TIMER once at system time `deadline`.
void set_singleshot(Vcpu& vcpu, u64 deadline);
void stop_singleshot(Vcpu& vcpu);

} // namespace streak::time
