// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "lib/types.hpp"

// PCI configuration space by mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2): segment 0, the first 256 bytes of each
// function. Everybody who touches 0xcf8/0xcfc goes through here, dom0's emulated accesses too: address and
// data are two accesses under one lock.

namespace streak::pci {

/// A function of segment 0: bus, then device and function as the ABI packs them.
struct Address {
    u8 bus = 0;
    u8 devfn = 0;
    friend bool operator==(Address, Address) = default;
};

[[nodiscard]] u16 read16(Address at, unsigned reg);
[[nodiscard]] u32 read32(Address at, unsigned reg);
void write16(Address at, unsigned reg, u16 value);
void write32(Address at, unsigned reg, u32 value);

/// A guest's access to the data window (port 0xcfc + `offset`, `bytes` 1, 2 or 4) with its own address latch.
[[nodiscard]] u32 read_data(u32 latch, unsigned offset, unsigned bytes);
void write_data(u32 latch, unsigned offset, unsigned bytes, u32 value);

/// Offset of a capability in the function's list; 0: it has none. (PCI 3.0, 6.7)
[[nodiscard]] unsigned find_capability(Address at, u8 id);

inline constexpr unsigned reg_command = 0x04;
inline constexpr u16 command_memory = 1u << 1, command_no_intx = 1u << 10;
inline constexpr u8 capability_msi = 0x05, capability_msix = 0x11;

} // namespace streak::pci
