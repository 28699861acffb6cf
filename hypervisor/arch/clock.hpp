// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

// System time: nanoseconds since boot, computed from the TSC with the same scale that guests use.

namespace streak::clock {

/// Clocks of known rate that the platform has, besides the PIT.
struct References {
    volatile u32* hpet = nullptr; ///< mapped registers
    u16 pm_timer_port = 0;        ///< ACPI; 0: none
};

/// Finds the TSC's frequency (CPUID, HPET, ACPI PM timer, PIT in this order), starts system time and reads
/// the CMOS clock.
void init(const References& references);

/// Nanoseconds since init(), the same on every CPU.
[[nodiscard]] u64 now();

[[nodiscard]] u64 read_tsc();
[[nodiscard]] u64 tsc_khz();
[[nodiscard]] bool tsc_is_stable(); ///< constant rate, synchronised on all CPUs

/// vcpu_time_info's scale: ns = ((ticks << shift) × mul) >> 32 (xen/xen.h).
struct Scale {
    u32 mul;
    std::int8_t shift;
};
[[nodiscard]] Scale tsc_scale();
/// A moment as TSC value and as system time.
struct Stamp {
    u64 tsc;
    u64 system_time;
};
[[nodiscard]] Stamp stamp();

/// TSC value at a system time (for TSC-deadline timers).
[[nodiscard]] u64 tsc_at(u64 system_time);

/// Busy waiting before timers run.
void delay_us(u64 microseconds);

/// Wall-clock time at system time 0.
struct Wallclock {
    u64 sec;
    u32 nsec;
};
[[nodiscard]] Wallclock wallclock();
/// XENPF_settime64: the wall clock read sec.nsec when system time was `system_time`. The caller then
/// refreshes the domains (time::update_wallclock).
void set_wallclock(u64 sec, u32 nsec, u64 system_time);

} // namespace streak::clock
