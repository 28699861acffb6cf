// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::machine {

/// What ACPI's FADT and \_S5 say; set once at boot.
struct PowerPorts {
    u16 pm1a_control = 0, pm1b_control = 0;
    u8 s5_type_a = 0, s5_type_b = 0;
    bool s5_known = false;
    u8 reset_space = 0xff; ///< ACPI address space of the reset register; 0xff: none
    u64 reset_address = 0;
    volatile u8* reset_register = nullptr; ///< mapped, when in memory
    u8 reset_value = 0;
};
void set_power_ports(const PowerPorts& ports);

/// Writes PM1a/PM1b control as dom0 asks (XENPF_enter_acpi_sleep, S5): never returns.
[[noreturn]] void enter_s5(u16 pm1a_value, u16 pm1b_value);

/// ACPI S5 when known; halts otherwise.
[[noreturn]] void power_off();
/// ACPI reset register, port 0xcf9, keyboard controller, triple fault, in this order.
[[noreturn]] void reboot();
/// Stops this CPU for ever.
[[noreturn]] void halt_cpu();

/// `noreboot` on the command line: reboot() halts instead.
void set_noreboot(bool noreboot);

} // namespace streak::machine
