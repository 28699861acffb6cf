// SPDX-License-Identifier: GPL-2.0-only
#include "init/platform.hpp"

#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/efi.hpp"
#include "arch/io.hpp"
#include "arch/ioapic.hpp"
#include "arch/irq.hpp"
#include "arch/lapic.hpp"
#include "arch/machine.hpp"
#include "arch/pic.hpp"
#include "arch/smp.hpp"
#include "arch/uart.hpp"
#include "arch/vga.hpp"
#include "console/console.hpp"
#include "domain/scheduler.hpp"
#include "lib/panic.hpp"
#include "loader/acpi.hpp"
#include "mm/boot_memory.hpp"
#include "mm/host_page_table.hpp"
#include "pv/exit_work.hpp"

namespace streak::init {

namespace {

namespace acpi = loader::acpi;

constinit acpi::Tables tables;

constexpr auto firmware_memory = [](u64 address, std::size_t bytes) -> loader::Bytes {
    return {static_cast<const std::byte*>(mm::map_firmware(Maddr(address), bytes)), bytes};
};

const acpi::Madt& read_tables(const loader::BootInfo& info) {
    loader::Bytes rsdp = info.rsdp;
    if (rsdp.empty()) {
        const auto found = acpi::find_rsdp(firmware_memory);
        if (!found) panic("ACPI: a root pointer expected, none found");
        rsdp = firmware_memory(*found, 36);
    }
    if (const auto read = acpi::read_tables(rsdp, firmware_memory, tables); !read)
        panic("ACPI: {} ({})", loader::describe(read.error().code), read.error().item);
    if (!tables.madt) panic("ACPI: a MADT expected, none found");
    if (tables.damaged != 0) log_warning("ACPI: {} damaged tables are ignored", tables.damaged);
    return *tables.madt;
}

volatile u32* device_page(u64 address) {
    mm::deny_io_frame(to_mfn(Maddr(address)));
    return static_cast<volatile u32*>(mm::map_mmio(Maddr(address), page_size));
}

void start_interrupts(const acpi::Madt& madt, bool want_x2apic) {
    const bool need_x2apic = want_x2apic || std::ranges::any_of(madt.cpus, [](const acpi::LocalApic& c) {
                                 return c.enabled && c.apic_id > 254;
                             });
    pic::disable();
    lapic::init_boot(device_page(madt.lapic_address), need_x2apic);
    lapic::init_cpu();
    for (const acpi::IoApic& io : madt.ioapics)
        ioapic::add(io.id, Maddr(io.address), device_page(io.address), io.gsi_base);
    for (const acpi::SourceOverride& o : madt.overrides)
        irq::add_override(o.source, o.gsi, o.flags.level(), o.flags.active_low());
    irq::init();
}

void start_clock() {
    clock::References references;
    if (tables.hpet) references.hpet = static_cast<volatile u32*>(mm::map_mmio(Maddr(*tables.hpet), page_size));
    if (tables.fadt && tables.fadt->pm_timer.space == acpi::Register::Space::io)
        references.pm_timer_port = static_cast<u16>(tables.fadt->pm_timer.address);
    clock::init(references);
    lapic::calibrate_timer();
}

u16 port_of(const acpi::Register& r) { return r.space == acpi::Register::Space::io ? static_cast<u16>(r.address) : 0; }

void set_power_ports() {
    machine::PowerPorts ports;
    if (tables.fadt) {
        const acpi::Fadt& fadt = *tables.fadt;
        ports.pm1a_control = port_of(fadt.pm1a_control);
        ports.pm1b_control = port_of(fadt.pm1b_control);
        if (fadt.has_reset()) {
            ports.reset_space = static_cast<u8>(fadt.reset.space);
            ports.reset_address = fadt.reset.address;
            ports.reset_value = fadt.reset_value;
            if (fadt.reset.space == acpi::Register::Space::memory)
                ports.reset_register = static_cast<volatile u8*>(mm::map_mmio(Maddr(fadt.reset.address), 1));
        }
    }
    if (tables.s5) {
        ports.s5_known = true;
        ports.s5_type_a = tables.s5->pm1a;
        ports.s5_type_b = tables.s5->pm1b;
    }
    machine::set_power_ports(ports);
}

void* memory_for_cpu(u64 bytes) {
    const unsigned order = mm::order_for(bytes);
    mm::PageInfo* pages = mm::alloc_frames(order, 32);
    if (!pages) return nullptr;
    mm::clear_frames(*pages, order);
    return mm::page_memory(*pages);
}

void run_secondary_cpu() {
    scheduler::start_cpu();
    arch::exit_to_current();
}

constexpr u16 debug_port = 0xe9;

void write_debug_port(std::string_view text) {
    for (const char c : text) arch::out8(debug_port, static_cast<u8>(c));
}

/// Emulators answer there with the port's number, and show what is written to it (Bochs' port_e9_hack, QEMU's
/// isa-debugcon).
void start_debug_port() {
    static constinit LogSink sink{write_debug_port};
    if (arch::in8(debug_port) == debug_port) add_log_sink(sink);
}

void list_processors(const acpi::Madt& madt) {
    smp::init_boot_cpu();
    for (const acpi::LocalApic& cpu : madt.cpus)
        if (cpu.enabled) smp::add_processor(ApicId(cpu.apic_id), cpu.processor_uid);
    if (madt.cpus.dropped() != 0)
        log_warning("{} processors beyond {} are not used", madt.cpus.dropped(), acpi::max_cpus);
    smp::set_plan({.trampoline = mm::low_free_page(),
                   .cr3 = mm::hypervisor_cr3().raw(),
                   .allocate = memory_for_cpu,
                   .run = run_secondary_cpu});
}

void serial_interrupt(Irq, void*) {
    if (uart::handle_interrupt()) arch::raise_local_work(arch::Work::console);
}

void start_serial_input() {
    if (!uart::present() || uart::isa_irq() == 0) return;
    const auto line = irq::gsi_to_irq(irq::isa_to_gsi(uart::isa_irq()));
    if (!line || !irq::bind_hypervisor(*line, serial_interrupt, nullptr)) {
        log_warning("console: no interrupt for the serial port, input stays off");
        return;
    }
    pv::set_console_work(console::serve_input);
    uart::enable_receive_interrupt();
    irq::unmask(*line);
}

} // namespace

void start_consoles(const loader::Options& options, const loader::BootInfo& info) {
    set_log_level(static_cast<LogLevel>(std::clamp<int>(static_cast<int>(options.log), 1, 4)));
    if (options.timestamps != "none")
        stamp_log(options.timestamps == "raw" ? clock::read_tsc : clock::now, options.timestamps == "raw");
    start_debug_port();
    if (options.console_serial && !uart::init(options.com1, 1)) log_warning("console: no serial port at COM1");
    if (options.console_com2 && !uart::init(options.com2, 2)) log_warning("console: no serial port at COM2");
    const bool pixels = info.framebuffer && info.framebuffer->type == 1; // mapped later, start_platform()
    if (options.console_vga && !pixels) vga::init(info.framebuffer, nullptr);
}

void start_platform(const loader::Options& options, const loader::BootInfo& info) {
    if (options.console_vga && info.framebuffer && info.framebuffer->type == 1) {
        const loader::Framebuffer& fb = *info.framebuffer;
        vga::init(info.framebuffer,
                  mm::map_mmio(Maddr(fb.address), u64{fb.pitch} * fb.height, mm::Access::write_combining));
    }
    if (info.efi_system_table) efi::note_system_table(Maddr(*info.efi_system_table));
    const acpi::Madt& madt = read_tables(info);
    start_interrupts(madt, options.x2apic);
    set_power_ports();
    start_clock();
    list_processors(madt);
    start_serial_input();
}

} // namespace streak::init
