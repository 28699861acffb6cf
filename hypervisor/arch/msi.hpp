// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/irq.hpp"
#include "arch/pci.hpp"

// MSI and MSI-X in devices (PCI Local Bus 3.0, 6.8): the hypervisor alone writes messages, dom0 asks for them by
// PHYSDEVOP_map_pirq. dom0's own capability writes reach the device, so enable bits are set here, too, and
// nothing relies on them staying.

namespace streak::msi {

/// One message of a device: an MSI capability, or one entry of its MSI-X table.
struct Source {
    pci::Address device;
    u16 capability = 0;            ///< offset in configuration space; 0: not in use
    u16 entry = 0;                 ///< MSI-X: index in the table
    volatile u32* table = nullptr; ///< MSI-X: the entry's four words; nullptr: MSI
    friend bool operator==(const Source&, const Source&) = default;
};

/// Finds the MSI capability. ENODEV. `messages`: how many are wanted; EINVAL when the device has fewer.
[[nodiscard]] Result<Source> find_msi(pci::Address device, unsigned messages = 1);
/// Maps entry `entry` of the MSI-X table. ENODEV: no capability; EINVAL: beyond the table.
[[nodiscard]] Result<Source> find_msix(pci::Address device, unsigned entry);

/// Writes the message and switches message delivery on, with `log2_messages` as multiple-message setting.
void enable(const Source& source, const irq::MsiMessage& message, unsigned log2_messages = 0);
/// Masks the message; an MSI capability is switched off.
void disable(const Source& source);
/// Per-message mask where the device has one.
void set_mask(const Source& source, bool masked);

} // namespace streak::msi
