// SPDX-License-Identifier: GPL-2.0-only
#include "arch/pci.hpp"

#include "arch/io.hpp"
#include "lib/spinlock.hpp"

namespace streak::pci {

namespace {

constexpr u16 address_port = 0xcf8, data_port = 0xcfc;
constexpr unsigned reg_vendor = 0x00, reg_status = 0x06, reg_header_type = 0x0e;
constexpr u16 status_has_capabilities = 1u << 4;

constinit SpinLock config_lock;

[[nodiscard]] u32 latch_of(Address at, unsigned reg) {
    return 1u << 31 | u32(at.bus) << 16 | u32(at.devfn) << 8 | (reg & 0xfc);
}

} // namespace

u32 read_data(u32 latch, unsigned offset, unsigned bytes) {
    LockGuard guard(config_lock);
    arch::out32(address_port, latch);
    return arch::in_sized(static_cast<u16>(data_port + offset), bytes);
}

void write_data(u32 latch, unsigned offset, unsigned bytes, u32 value) {
    LockGuard guard(config_lock);
    arch::out32(address_port, latch);
    arch::out_sized(static_cast<u16>(data_port + offset), bytes, value);
}

u8 read8(Address at, unsigned reg) { return static_cast<u8>(read_data(latch_of(at, reg), reg & 3, 1)); }
u16 read16(Address at, unsigned reg) { return static_cast<u16>(read_data(latch_of(at, reg), reg & 2, 2)); }
u32 read32(Address at, unsigned reg) { return read_data(latch_of(at, reg), 0, 4); }
void write16(Address at, unsigned reg, u16 value) { write_data(latch_of(at, reg), reg & 2, 2, value); }
void write32(Address at, unsigned reg, u32 value) { write_data(latch_of(at, reg), 0, 4, value); }

bool exists(Address at) {
    const u16 vendor = read16(at, reg_vendor);
    return vendor != 0xffff && vendor != 0;
}

unsigned find_capability(Address at, u8 id) {
    if (!exists(at) || !(read16(at, reg_status) & status_has_capabilities)) return 0;
    constexpr unsigned cardbus_bridge = 2;
    unsigned offset = (read8(at, reg_header_type) & 0x7f) == cardbus_bridge ? 0x14 : 0x34;
    // The list is the device's: no more steps than entries could be.
    for (unsigned i = 0; i < 48; ++i) {
        offset = read8(at, offset) & 0xfc;
        if (offset < 0x40) return 0;
        if (read8(at, offset) == id) return offset;
        ++offset;
    }
    return 0;
}

} // namespace streak::pci
