// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "lib/types.hpp"

// The local APIC of each CPU, by memory (xAPIC) or MSRs (x2APIC). Intel SDM 3A chapter 11.

namespace streak::lapic {

/// The boot processor's: chooses the access mode. `registers`: the mapped 4 KiB register page. x2APIC is used when
/// the firmware enabled it, when `need_x2apic` (APIC ids above 254), and only where the CPU has it.
void init_boot(volatile u32* registers, bool need_x2apic);
/// Enables the calling CPU's.
void init_cpu();

[[nodiscard]] ApicId id();
void eoi();

/// Sends an interrupt, NMI, INIT or start-up IPI (page number of the trampoline).
void send_ipi(ApicId to, Vector vector);
void send_nmi(ApicId to);
void send_init(ApicId to);
void send_startup(ApicId to, u8 page);

/// Finds the timer's rate; after clock::init(). (TSC-deadline timers need none.)
void calibrate_timer();
/// One timer interrupt at system time `deadline`, perhaps earlier when it is far away; ~0: none.
void set_timer(u64 deadline);

/// Why an APIC error was reported.
[[nodiscard]] u32 error_status();

} // namespace streak::lapic
