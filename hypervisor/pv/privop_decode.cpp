// SPDX-License-Identifier: GPL-2.0-only
#include "pv/privop_decode.hpp"

namespace streak::pv {

namespace {

/// A walk over the bytes that remembers having come to their end.
class Cursor {
public:
    explicit Cursor(std::span<const u8> bytes) : bytes_(bytes) {}

    u8 next() {
        if (position_ < bytes_.size()) return bytes_[position_++];
        ended_ = true;
        return 0;
    }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] u8 position() const { return static_cast<u8>(position_); }

private:
    std::span<const u8> bytes_;
    std::size_t position_ = 0;
    bool ended_ = false;
};

struct Prefixes {
    u8 rex = 0;
    bool operand_size = false, address_size = false, repeat = false, lock = false;
    SegmentOverride segment = SegmentOverride::none;
};

/// Notes one legacy prefix; false when `byte` is none.
bool take_prefix(u8 byte, Prefixes& p) {
    switch (byte) {
    case 0x66: p.operand_size = true; return true;
    case 0x67: p.address_size = true; return true;
    case 0xf0: p.lock = true; return true;
    case 0xf2:
    case 0xf3: p.repeat = true; return true;
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e: p.segment = SegmentOverride::none; return true;
    case 0x64: p.segment = SegmentOverride::fs; return true;
    case 0x65: p.segment = SegmentOverride::gs; return true;
    default: return false;
    }
}

/// Reads all prefixes and returns the first opcode byte. A REX prefix counts directly before the opcode only.
u8 take_prefixes(Cursor& at, bool long_mode, Prefixes& p) {
    for (;;) {
        const u8 byte = at.next();
        if (at.ended()) return 0;
        if (long_mode && (byte & 0xf0) == 0x40) p.rex = byte;
        else if (take_prefix(byte, p)) p.rex = 0;
        else return byte;
    }
}

struct ModRm {
    u8 mod, reg, rm;
};

ModRm take_modrm(Cursor& at, const Prefixes& p) {
    const u8 byte = at.next();
    return {static_cast<u8>(byte >> 6), static_cast<u8>(((byte >> 3) & 7) | ((p.rex & 4) << 1)),
            static_cast<u8>((byte & 7) | ((p.rex & 1) << 3))};
}

void decode_port(u8 opcode, Cursor& at, const Prefixes& p, Decoded& d) {
    d.operand_bytes = (opcode & 1) == 0 ? 1 : p.operand_size ? 2 : 4;
    if (opcode < 0x70) { // INS, OUTS
        d.op = opcode < 0x6e ? PrivOp::ins : PrivOp::outs;
        d.port_in_dx = true;
        d.repeat = p.repeat;
        d.segment = p.segment;
        return;
    }
    d.op = (opcode & 2) == 0 ? PrivOp::in : PrivOp::out;
    d.port_in_dx = (opcode & 8) != 0;
    if (!d.port_in_dx) d.immediate = at.next();
}

/// MOV to and from control (0x20, 0x22) and debug registers (0x21, 0x23); the mod field does not count.
void decode_special_register(u8 opcode, Cursor& at, const Prefixes& p, Decoded& d) {
    const ModRm m = take_modrm(at, p);
    const bool debug = (opcode & 1) != 0;
    if (debug && m.reg > 7) return;
    const bool write = (opcode & 2) != 0;
    d.op = debug ? (write ? PrivOp::write_dr : PrivOp::read_dr) : (write ? PrivOp::write_cr : PrivOp::read_cr);
    d.special = m.reg;
    d.gpr = m.rm;
}

/// Opcode 0f 01: LMSW and SMSW with a register, XSETBV, RDTSCP.
void decode_group7(Cursor& at, const Prefixes& p, Decoded& d) {
    const ModRm m = take_modrm(at, p);
    if (m.mod != 3) return;
    const u8 reg = m.reg & 7, rm = m.rm & 7;
    d.gpr = m.rm;
    if (reg == 4) {
        d.op = PrivOp::smsw;
        d.operand_bytes = (p.rex & 8) != 0 ? 8 : p.operand_size ? 2 : 4;
    } else if (reg == 6) {
        d.op = PrivOp::lmsw;
    } else if (reg == 2 && rm == 1) {
        d.op = PrivOp::set_xcr;
    } else if (reg == 7 && rm == 1) {
        d.op = PrivOp::read_tscp;
    }
}

void decode_two_bytes(Cursor& at, const Prefixes& p, Decoded& d) {
    const u8 opcode = at.next();
    switch (opcode) {
    case 0x01: decode_group7(at, p, d); break;
    case 0x06: d.op = PrivOp::clts; break;
    case 0x08:
    case 0x09: d.op = PrivOp::invalidate_caches; break;
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x23: decode_special_register(opcode, at, p, d); break;
    case 0x30: d.op = PrivOp::write_msr; break;
    case 0x31: d.op = PrivOp::read_tsc; break;
    case 0x32: d.op = PrivOp::read_msr; break;
    case 0xa2: d.op = PrivOp::cpuid; break;
    default: break;
    }
}

void decode_opcode(u8 opcode, Cursor& at, const Prefixes& p, Decoded& d) {
    switch (opcode) {
    case 0x0f: decode_two_bytes(at, p, d); break;
    case 0x6c ... 0x6f:
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef: decode_port(opcode, at, p, d); break;
    case 0xcd:
        d.op = PrivOp::software_interrupt;
        d.immediate = at.next();
        break;
    case 0xfa: d.op = PrivOp::cli; break;
    case 0xfb: d.op = PrivOp::sti; break;
    default: break;
    }
}

} // namespace

Decoded decode_privop(std::span<const u8> bytes, bool long_mode) {
    if (bytes.size() > longest_instruction) bytes = bytes.first(longest_instruction);
    Cursor at(bytes);
    Prefixes prefixes;
    Decoded d;
    const u8 opcode = take_prefixes(at, long_mode, prefixes);
    if (!at.ended() && !prefixes.lock) decode_opcode(opcode, at, prefixes, d);
    if (at.ended()) return {.op = bytes.size() < longest_instruction ? PrivOp::truncated : PrivOp::none};
    if (d.op == PrivOp::none) return {};
    d.length = at.position();
    d.address_bytes = long_mode && !prefixes.address_size ? 8 : 4;
    return d;
}

} // namespace streak::pv
