// SPDX-License-Identifier: GPL-2.0-only
#include "arch/machine.hpp"

#include "arch/clock.hpp"
#include "arch/io.hpp"
#include "arch/smp.hpp"
#include "arch/uart.hpp"
#include "lib/log.hpp"

namespace streak::machine {

namespace {

constexpr u16 sleep_enable = 1u << 13;

constinit PowerPorts ports_{};
constinit bool noreboot_ = false;

u16 sleep_value(u16 port, u8 type) {
    return static_cast<u16>((arch::in16(port) & ~0x3c00u) | static_cast<u16>((type & 7u) << 10));
}

void reset_by_acpi() {
    if (ports_.reset_space == 1) arch::out8(static_cast<u16>(ports_.reset_address), ports_.reset_value);
    else if (ports_.reset_space == 0 && ports_.reset_address != 0 && ports_.reset_register != nullptr)
        *ports_.reset_register = ports_.reset_value;
}

void reset_by_chipset() {
    arch::out8(0xcf9, 0x02); // hard reset, prepared …
    clock::delay_us(50);
    arch::out8(0xcf9, 0x06); // … and done
}

void reset_by_keyboard() {
    for (unsigned i = 0; i < 1000 && (arch::in8(0x64) & 2) != 0; ++i) clock::delay_us(10);
    arch::out8(0x64, 0xfe);
}

[[noreturn]] void triple_fault() {
    constexpr struct [[gnu::packed]] {
        u16 limit;
        u64 base;
    } no_idt{0, 0};
    asm volatile("lidt %0; int3" ::"m"(no_idt));
    halt_cpu();
}

} // namespace

void set_power_ports(const PowerPorts& ports) { ports_ = ports; }
void set_noreboot(bool noreboot) { noreboot_ = noreboot; }

void halt_cpu() {
    for (;;) asm volatile("cli; hlt" ::: "memory");
}

/// Stops all CPUs for ever.
[[noreturn]] static void halt() {
    smp::stop_others();
    uart::finish_output();
    halt_cpu();
}

void enter_s5(u16 pm1a_value, u16 pm1b_value) {
    smp::stop_others();
    uart::finish_output();
    asm volatile("wbinvd" ::: "memory");
    if (ports_.pm1a_control != 0) {
        // Sleep types first, then the bit that acts (ACPI 4.8.3.2.1).
        arch::out16(ports_.pm1a_control, static_cast<u16>(pm1a_value & ~sleep_enable));
        if (ports_.pm1b_control != 0) arch::out16(ports_.pm1b_control, static_cast<u16>(pm1b_value & ~sleep_enable));
        arch::out16(ports_.pm1a_control, static_cast<u16>(pm1a_value | sleep_enable));
        if (ports_.pm1b_control != 0) arch::out16(ports_.pm1b_control, static_cast<u16>(pm1b_value | sleep_enable));
        clock::delay_us(2'000'000);
    }
    log_error("The machine did not power off: halted");
    halt_cpu();
}

void power_off() {
    if (!ports_.s5_known || ports_.pm1a_control == 0) {
        log_warning("ACPI does not say how to power off: halted");
        halt();
    }
    const u16 b = ports_.pm1b_control;
    enter_s5(sleep_value(ports_.pm1a_control, ports_.s5_type_a), b != 0 ? sleep_value(b, ports_.s5_type_b) : u16{0});
}

void reboot() {
    if (noreboot_) {
        log_info("Halted, as 'noreboot' asks");
        halt();
    }
    smp::stop_others();
    uart::finish_output();
    reset_by_acpi();
    clock::delay_us(100'000);
    reset_by_chipset();
    clock::delay_us(100'000);
    reset_by_keyboard();
    clock::delay_us(100'000);
    triple_fault();
}

} // namespace streak::machine
