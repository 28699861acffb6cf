// SPDX-License-Identifier: GPL-2.0-only
#include "pv/privop_decode.hpp"

#include "pv/code_reader.hpp"

namespace streak::pv {

namespace {

struct ModRm {
    u8 mod, reg, rm;
};

ModRm take_modrm(CodeReader& at, const Prefixes& p) {
    const u8 byte = at.next();
    return {static_cast<u8>(byte >> 6), static_cast<u8>(((byte >> 3) & 7) | ((p.rex & 4) << 1)),
            static_cast<u8>((byte & 7) | ((p.rex & 1) << 3))};
}

void decode_port(u8 opcode, CodeReader& at, const Prefixes& p, Decoded& d) {
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
void decode_special_register(u8 opcode, CodeReader& at, const Prefixes& p, Decoded& d) {
    const ModRm m = take_modrm(at, p);
    const bool debug = (opcode & 1) != 0;
    if (debug && m.reg > 7) return;
    const bool write = (opcode & 2) != 0;
    d.op = debug ? (write ? PrivOp::write_dr : PrivOp::read_dr) : (write ? PrivOp::write_cr : PrivOp::read_cr);
    d.special = m.reg;
    d.gpr = m.rm;
}

/// Opcode 0f 01: LMSW and SMSW with a register, XSETBV, RDTSCP.
void decode_group7(CodeReader& at, const Prefixes& p, Decoded& d) {
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

void decode_two_bytes(CodeReader& at, const Prefixes& p, Decoded& d) {
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

void decode_opcode(u8 opcode, CodeReader& at, const Prefixes& p, Decoded& d) {
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
    CodeReader at(bytes);
    Prefixes prefixes;
    Decoded d;
    const u8 opcode = take_prefixes(at, long_mode, prefixes);
    if (at.ok() && !prefixes.lock) decode_opcode(opcode, at, prefixes, d);
    if (!at.ok()) return {.op = bytes.size() < longest_instruction ? PrivOp::truncated : PrivOp::none};
    if (d.op == PrivOp::none) return {};
    d.length = at.at();
    d.address_bytes = long_mode && !prefixes.address_size ? 8 : 4;
    return d;
}

} // namespace streak::pv
