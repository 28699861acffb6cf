// SPDX-License-Identifier: GPL-2.0-only
#include "pv/io_ports.hpp"

#include "arch/io.hpp"
#include "arch/pci.hpp"
#include "arch/segment.hpp"
#include "arch/uaccess.hpp"
#include "pv/guest_mode.hpp"
#include "pv/trap_bounce.hpp"

namespace streak::pv {

namespace {

constexpr u16 pit_channel2 = 0x42, pit_command = 0x43, system_control_b = 0x61;
constexpr u16 pci_address = 0xcf8, pci_data = 0xcfc;
constexpr u8 speaker_bits = 3;

constexpr u32 all_ones(unsigned bytes) { return bytes == 4 ? ~0u : (1u << (8 * bytes)) - 1; }

// Channel 2 of the timer and its gate belong to dom0: it calibrates its TSC with them, and beeps.

bool is_channel2(u16 port) { return port == pit_channel2 || port == pit_command || port == system_control_b; }

/// Does a command word concern channel 2 only? (Intel 8254: bits 7:6; 3 is read-back, with one bit a channel)
bool selects_channel2(u8 command) {
    constexpr u8 read_back = 3, channel2_bit = 1u << 3, channels = 7u << 1;
    return command >> 6 == 2 || (command >> 6 == read_back && (command & channels) == channel2_bit);
}

u32 read_channel2(const Domain& d, u16 port) {
    // An unmoving counter makes a guest's calibration give up at once.
    if (!d.privileged) return port == pit_channel2 ? 0 : 0xff;
    return port == pit_command ? 0xff : arch::in8(port);
}

void write_channel2(const Domain& d, u16 port, u8 value) {
    if (!d.privileged) return;
    if (port == pit_channel2 || (port == pit_command && selects_channel2(value))) arch::out8(port, value);
    else if (port == system_control_b)
        arch::out8(port, static_cast<u8>((arch::in8(port) & ~speaker_bits) | (value & speaker_bits)));
}

// PCI configuration mechanism 1: the address is latched per domain.

bool is_pci_data(u16 port, unsigned bytes) { return port >= pci_data && port + bytes <= pci_data + 4u; }

/// Byte `index` of the guest's I/O bitmap; beyond its end everything is denied.
u8 bitmap_byte(const Vcpu& v, u32 index) {
    u8 byte = 0xff;
    if (index >= (v.pv.iobitmap_ports + 7) / 8 ||
        !arch::copy_from_guest(&byte, Vaddr(v.pv.iobitmap + index), sizeof byte))
        return 0xff;
    return byte;
}

bool bitmap_permits(Vcpu& v, u16 port, unsigned bytes) {
    if (v.pv.iobitmap == 0 || v.pv.iobitmap_ports == 0) return false;
    KernelView kernel(v);
    for (u32 p = port; p < port + bytes; ++p)
        if (p > 0xffff || p >= v.pv.iobitmap_ports || (bitmap_byte(v, p / 8) >> (p % 8) & 1)) return false;
    return true;
}

/// Moves a string register by one element, in the direction of DF and the address size.
void step(u64& reg, const Decoded& op, bool down) {
    const u64 moved = down ? reg - op.operand_bytes : reg + op.operand_bytes;
    reg = op.address_bytes == 4 ? (moved & 0xffffffff) : moved;
}

u64 override_base(SegmentOverride segment) {
    switch (segment) {
    case SegmentOverride::fs: return arch::read_fs_base();
    case SegmentOverride::gs: return arch::read_guest_gs_base();
    default: return 0;
    }
}

/// One element; false when the guest's memory can't be accessed.
bool move_element(Vcpu& v, const Decoded& op, u16 port, u64 address) {
    u32 value = 0;
    if (op.op == PrivOp::ins) {
        value = read_port(*v.domain, port, op.operand_bytes);
        return arch::copy_to_guest(Vaddr(address), &value, op.operand_bytes);
    }
    if (!arch::copy_from_guest(&value, Vaddr(address), op.operand_bytes)) return false;
    write_port(*v.domain, port, op.operand_bytes, value);
    return true;
}

} // namespace

bool iopl_permits(const Vcpu& v) {
    const bool architectural = v.domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl);
    const u8 level = v.in_kernel ? (architectural ? 0 : 1) : 3;
    return v.pv.iopl >= level;
}

bool port_permitted(Vcpu& v, u16 port, unsigned bytes) { return iopl_permits(v) || bitmap_permits(v, port, bytes); }

u32 read_port(Domain& d, u16 port, unsigned bytes) {
    if (is_pci_data(port, bytes))
        return d.privileged ? pci::read_data(d.pci_latch, port - pci_data, bytes) : all_ones(bytes);
    if (port == pci_address && bytes == 4) return d.privileged ? d.pci_latch.load() : ~0u;
    if (bytes == 1 && is_channel2(port)) return read_channel2(d, port);
    return d.may_use_ports(port, bytes) ? arch::in_sized(port, bytes) : all_ones(bytes);
}

void write_port(Domain& d, u16 port, unsigned bytes, u32 value) {
    if (is_pci_data(port, bytes)) {
        if (d.privileged) pci::write_data(d.pci_latch, port - pci_data, bytes, value);
    } else if (port == pci_address && bytes == 4) {
        d.pci_latch = value;
    } else if (bytes == 1 && is_channel2(port)) {
        write_channel2(d, port, static_cast<u8>(value));
    } else if (d.may_use_ports(port, bytes)) {
        arch::out_sized(port, bytes, value);
    }
}

StringResult run_string_operation(Vcpu& v, const Decoded& op) {
    constexpr unsigned elements_at_once = 256;
    constexpr u32 pf_write = 2, pf_user = 4;
    arch::Registers& r = v.regs;
    const u64 mask = op.address_bytes == 4 ? 0xffffffff : ~0ull;
    const bool is_input = op.op == PrivOp::ins;
    const bool down = (r.rflags & arch::rflags::df) != 0;
    const u64 base = is_input ? 0 : override_base(op.segment);
    u64& index = is_input ? r.rdi : r.rsi;
    for (unsigned n = 0; n < elements_at_once; ++n) {
        if (op.repeat && (r.rcx & mask) == 0) return StringResult::done;
        const u64 address = base + (index & mask);
        if (!move_element(v, op, static_cast<u16>(r.rdx), address)) {
            inject_page_fault(v, address, pf_user | (is_input ? pf_write : 0));
            return StringResult::fault;
        }
        step(index, op, down);
        if (!op.repeat) return StringResult::done;
        r.rcx = (r.rcx - 1) & mask;
    }
    return (r.rcx & mask) == 0 ? StringResult::done : StringResult::unfinished;
}

} // namespace streak::pv
