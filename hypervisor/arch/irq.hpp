// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/errno.hpp"
#include "lib/ids.hpp"
#include "lib/types.hpp"

// Device interrupts. An Irq below gsi_count() is the I/O APIC line of that number; Irqs above are MSI
// slots, created on demand. Each bound Irq has one vector (the same on every CPU) and one target CPU.
//
// Life: gsi_to_irq / create_msi → bind_guest (masked) → unmask → unbind → destroy_msi.
//
// How an interrupt reaches a guest: the handler is called with interrupts off on the target CPU, without any
// lock of this part held; it may take the event lock and kick a vCPU. Edge interrupts and MSIs are
// acknowledged at once. A level-triggered line is masked and acknowledged, and stays masked ("in service")
// until guest_eoi(): then it is opened again, and fires again if the device still asks.

namespace streak::irq {

using Handler = void (*)(Irq irq, void* context);

/// What a device writes, and where, to raise an MSI (Intel SDM 3A 11.11).
struct MsiMessage {
    u64 address;
    u32 data;
};

/// Lines of all I/O APICs together (highest GSI + 1). Valid after init().
[[nodiscard]] u32 gsi_count();

/// The Irq of a global system interrupt. ENODEV: no I/O APIC has this line.
[[nodiscard]] Result<Irq> gsi_to_irq(u32 gsi);

/// The GSI that an ISA line is wired to (MADT interrupt source overrides).
[[nodiscard]] u32 isa_to_gsi(u8 isa_line);

/// Trigger and polarity of a line (PHYSDEVOP_setup_gsi). Repeating the present mode is fine; EBUSY when a bound
/// line would change; ENODEV.
[[nodiscard]] Result<> set_gsi_mode(u32 gsi, bool level, bool active_low);

/// `count` (a power of two, ≤ 32) consecutive MSI Irqs with consecutive, aligned vectors; several only
/// for one device's multi-message MSI. ENOSPC: no slots or vectors left. EINVAL: bad count.
[[nodiscard]] Result<Irq> create_msi(unsigned count = 1);
/// Gives slots back; they are unbound.
void destroy_msi(Irq first, unsigned count = 1);

/// The message for the Irq's present vector and CPU. With several consecutive Irqs the device gets the
/// first one's and adds to the low bits of `data` itself.
[[nodiscard]] MsiMessage msi_message(Irq irq);
/// Called by route() when an MSI's message has changed, so that the device can be told.
void set_message_hook(Irq irq, void (*hook)(Irq irq, const MsiMessage& message, void* context), void* context);

/// Connects a handler and allocates a vector; the Irq stays masked until unmask(). EBUSY: bound already; ENODEV;
/// ENOSPC: no vector free.
[[nodiscard]] Result<> bind_guest(Irq irq, Handler handler, void* context);
/// The same for the hypervisor's own devices: the interrupt is over when the handler returns.
[[nodiscard]] Result<> bind_hypervisor(Irq irq, Handler handler, void* context);
/// Masks the Irq, frees its vector and waits until no CPU runs the handler: hold no lock that it takes.
void unbind(Irq irq);

/// Chooses the CPU an Irq is sent to; CPUs whose APIC id a device can't name are replaced by CPU 0.
void route(Irq irq, CpuId cpu);

void unmask(Irq irq);
/// The guest has handled a level-triggered interrupt: opens the line. No effect when none is in service.
void guest_eoi(Irq irq);

/// Must the guest report the end of each interrupt (XENIRQSTAT_needs_eoi)? Level-triggered lines only.
[[nodiscard]] bool needs_eoi(Irq irq);

/// For the debug keys.
struct Info {
    bool used, bound, guest, level, active_low, masked, in_service;
    Vector vector;
    CpuId cpu;
    u64 count;
};
[[nodiscard]] Info info(Irq irq);
[[nodiscard]] u32 irq_count(); ///< Irqs that exist, GSIs and MSI slots (highest + 1)

/// Where an ISA line is wired when not to the GSI of its number (MADT); before init().
void add_override(u8 isa_line, u32 gsi, bool level, bool active_low);
/// Gives every I/O APIC line its default mode; after the last ioapic::add().
void init();

/// Dispatch of the device vectors; called by the interrupt entry.
void dispatch(Vector vector);

} // namespace streak::irq
