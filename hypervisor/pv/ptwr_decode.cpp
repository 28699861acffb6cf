// SPDX-License-Identifier: GPL-2.0-only
#include "pv/ptwr_decode.hpp"

#include "pv/code_reader.hpp"

namespace streak::pv {

namespace {

/// Skips a ModRM operand in memory and returns ModRM.reg; empty when the operand is a register.
std::optional<u8> read_modrm(CodeReader& code) {
    const u8 modrm = code.next();
    const unsigned mod = modrm >> 6, rm = modrm & 7;
    if (mod == 3) return {};
    bool disp32 = mod == 2 || (mod == 0 && rm == 5);
    if (rm == 4) {
        const u8 sib = code.next();
        disp32 = disp32 || (mod == 0 && (sib & 7) == 5);
    }
    code.skip(disp32 ? 4 : mod == 1 ? 1 : 0);
    return static_cast<u8>(modrm >> 3 & 7);
}

/// What the reg field of an immediate form chooses from.
using Group = std::array<std::optional<PtwrKind>, 8>;
/// The opcodes of the two-operand forms of these are 8 × index.
constexpr Group arithmetic{PtwrKind::add, PtwrKind::or_, {}, {}, PtwrKind::and_, PtwrKind::sub, PtwrKind::xor_, {}};
constexpr Group bit_operations{{{}, {}, {}, {}, {}, PtwrKind::bts, PtwrKind::btr, PtwrKind::btc}};
constexpr Group only_mov{PtwrKind::mov};

enum class Immediate : u8 { none, byte, full };

/// What an opcode says before its operands are known.
struct Form {
    std::optional<PtwrKind> kind{};
    bool byte_operand = false;
    Immediate immediate = Immediate::none;
    const Group* group = nullptr;
};

Form one_byte_form(u8 op) {
    if (op < 0x40 && (op & 7) <= 1) return {.kind = arithmetic[op >> 3], .byte_operand = !(op & 1)};
    switch (op) {
    case 0x80: return {.byte_operand = true, .immediate = Immediate::byte, .group = &arithmetic};
    case 0x81: return {.immediate = Immediate::full, .group = &arithmetic};
    case 0x83: return {.immediate = Immediate::byte, .group = &arithmetic};
    case 0x86:
    case 0x87: return {.kind = PtwrKind::xchg, .byte_operand = op == 0x86};
    case 0x88:
    case 0x89: return {.kind = PtwrKind::mov, .byte_operand = op == 0x88};
    case 0xc6: return {.byte_operand = true, .immediate = Immediate::byte, .group = &only_mov};
    case 0xc7: return {.immediate = Immediate::full, .group = &only_mov};
    default: return {};
    }
}

Form two_byte_form(u8 op) {
    switch (op) {
    case 0xab: return {.kind = PtwrKind::bts};
    case 0xb3: return {.kind = PtwrKind::btr};
    case 0xbb: return {.kind = PtwrKind::btc};
    case 0xba: return {.immediate = Immediate::byte, .group = &bit_operations};
    case 0xb0:
    case 0xb1: return {.kind = PtwrKind::cmpxchg, .byte_operand = op == 0xb0};
    case 0xc0:
    case 0xc1: return {.kind = PtwrKind::xadd, .byte_operand = op == 0xc0};
    case 0xc3: return {.kind = PtwrKind::mov}; // MOVNTI
    default: return {};
    }
}

u8 operand_bytes(const Prefixes& p, bool byte_operand) {
    return byte_operand ? 1 : (p.rex & 8) ? 8 : p.operand_size ? 2 : 4;
}

using arch::general_register;

u64 mask_of(unsigned bytes) { return bytes == 8 ? ~0ull : (1ull << (8 * bytes)) - 1; }

/// Writes a register operand: 32-bit writes clear the upper half, narrower ones keep the rest.
void set_gpr(arch::Registers& r, const PtwrInstruction& i, unsigned number, u64 value) {
    u64& reg = general_register(r, i.high_byte ? number - 4 : number);
    if (i.high_byte) reg = (reg & ~0xff00ull) | (value & 0xff) << 8;
    else if (i.bytes >= 4) reg = value & mask_of(i.bytes);
    else reg = (reg & ~mask_of(i.bytes)) | (value & mask_of(i.bytes));
}

u64 operand(const PtwrInstruction& i, const arch::Registers& regs) {
    if (i.has_immediate) return i.immediate & mask_of(i.bytes);
    arch::Registers copy = regs;
    const u64 value = general_register(copy, i.high_byte ? i.reg - 4u : i.reg);
    return (i.high_byte ? value >> 8 : value) & mask_of(i.bytes);
}

namespace flag {
constexpr u64 carry = 1u << 0, parity = 1u << 2, adjust = 1u << 4, zero = 1u << 6, sign = 1u << 7, overflow = 1u << 11;
constexpr u64 arithmetic = carry | parity | adjust | zero | sign | overflow;
} // namespace flag

/// PF: is the number of bits set in the lowest byte even?
bool even_parity(u64 value) { return !((0x6996 >> ((value ^ value >> 4) & 0xf)) & 1); }

u64 result_flags(u64 value, unsigned bytes) {
    const u64 top = 1ull << (8 * bytes - 1);
    return (value == 0 ? flag::zero : 0) | ((value & top) ? flag::sign : 0) | (even_parity(value) ? flag::parity : 0);
}

u64 add_flags(u64 a, u64 b, u64 sum, unsigned bytes) {
    const u64 top = 1ull << (8 * bytes - 1);
    return result_flags(sum, bytes) | (sum < a ? flag::carry : 0) | (((a ^ b ^ sum) & 0x10) ? flag::adjust : 0) |
           ((~(a ^ b) & (a ^ sum) & top) ? flag::overflow : 0);
}

u64 sub_flags(u64 a, u64 b, u64 difference, unsigned bytes) {
    const u64 top = 1ull << (8 * bytes - 1);
    return result_flags(difference, bytes) | (a < b ? flag::carry : 0) |
           (((a ^ b ^ difference) & 0x10) ? flag::adjust : 0) |
           (((a ^ b) & (a ^ difference) & top) ? flag::overflow : 0);
}

void set_flags(arch::Registers& r, u64 which, u64 flags) { r.rflags = (r.rflags & ~which) | flags; }

void apply_bit(const PtwrInstruction& i, const arch::Registers& regs, u64 old, PtwrEffect& effect) {
    const u64 bit = 1ull << (operand(i, regs) % (8 * i.bytes));
    effect.value = i.kind == PtwrKind::bts ? old | bit : i.kind == PtwrKind::btr ? old & ~bit : old ^ bit;
    set_flags(effect.regs, flag::carry, (old & bit) ? flag::carry : 0);
}

void apply_cmpxchg(const PtwrInstruction& i, const arch::Registers& regs, u64 old, PtwrEffect& effect) {
    const u64 expected = regs.rax & mask_of(i.bytes);
    set_flags(effect.regs, flag::arithmetic, sub_flags(expected, old, (expected - old) & mask_of(i.bytes), i.bytes));
    effect.write = expected == old;
    effect.value = operand(i, regs);
    if (!effect.write) {
        PtwrInstruction accumulator = i;
        accumulator.high_byte = false;
        set_gpr(effect.regs, accumulator, 0, old);
    }
}

void apply_arithmetic(const PtwrInstruction& i, const arch::Registers& regs, u64 old, PtwrEffect& effect) {
    const u64 b = operand(i, regs), mask = mask_of(i.bytes);
    u64 flags = 0;
    switch (i.kind) {
    case PtwrKind::or_: effect.value = old | b; break;
    case PtwrKind::and_: effect.value = old & b; break;
    case PtwrKind::xor_: effect.value = old ^ b; break;
    case PtwrKind::sub:
        effect.value = (old - b) & mask;
        flags = sub_flags(old, b, effect.value, i.bytes);
        break;
    default: // add, xadd
        effect.value = (old + b) & mask;
        flags = add_flags(old, b, effect.value, i.bytes);
        break;
    }
    set_flags(effect.regs, flag::arithmetic, flags | result_flags(effect.value, i.bytes));
}

void apply_string(const PtwrInstruction& i, u64 source, PtwrEffect& effect) {
    arch::Registers& r = effect.regs;
    const u64 step = (r.rflags & arch::rflags::df) ? -static_cast<u64>(i.bytes) : i.bytes;
    effect.value = (i.kind == PtwrKind::movs ? source : r.rax) & mask_of(i.bytes);
    r.rdi += step;
    if (i.kind == PtwrKind::movs) r.rsi += step;
    if (i.repeat && --r.rcx != 0) r.rip -= i.length; // the next round faults again
}

} // namespace

std::optional<PtwrInstruction> decode_ptwr(std::span<const u8> bytes) {
    CodeReader code(bytes);
    Prefixes prefixes;
    const u8 op = take_prefixes(code, true, prefixes);
    PtwrInstruction i;
    if (op == 0xa4 || op == 0xa5 || op == 0xaa || op == 0xab) {
        i.kind = op < 0xa8 ? PtwrKind::movs : PtwrKind::stos;
        i.bytes = operand_bytes(prefixes, !(op & 1));
        i.repeat = prefixes.repeat;
        i.length = code.at();
        return code.ok() ? std::optional(i) : std::nullopt;
    }
    const Form form = op == 0x0f ? two_byte_form(code.next()) : one_byte_form(op);
    if (!form.kind && !form.group) return {};
    const auto reg = read_modrm(code);
    if (!reg) return {};
    const auto kind = form.kind ? form.kind : (*form.group)[*reg];
    if (!kind) return {};
    i.kind = *kind;
    i.bytes = operand_bytes(prefixes, form.byte_operand);
    i.reg = static_cast<u8>(*reg | ((prefixes.rex & 4) ? 8 : 0));
    i.high_byte = i.bytes == 1 && !prefixes.rex && i.reg >= 4;
    if (form.immediate != Immediate::none) {
        i.has_immediate = true;
        i.high_byte = false;
        i.immediate = code.signed_value(form.immediate == Immediate::byte ? 1 : i.bytes == 2 ? 2 : 4);
    }
    i.length = code.at();
    return code.ok() ? std::optional(i) : std::nullopt;
}

PtwrEffect apply_ptwr(const PtwrInstruction& i, const arch::Registers& regs, u64 old, u64 source) {
    PtwrEffect effect{.regs = regs};
    effect.regs.rip += i.length;
    switch (i.kind) {
    case PtwrKind::mov: effect.value = operand(i, regs); break;
    case PtwrKind::xchg:
        effect.value = operand(i, regs);
        set_gpr(effect.regs, i, i.reg, old);
        break;
    case PtwrKind::xadd:
        apply_arithmetic(i, regs, old, effect);
        set_gpr(effect.regs, i, i.reg, old);
        break;
    case PtwrKind::cmpxchg: apply_cmpxchg(i, regs, old, effect); break;
    case PtwrKind::bts:
    case PtwrKind::btr:
    case PtwrKind::btc: apply_bit(i, regs, old, effect); break;
    case PtwrKind::movs:
    case PtwrKind::stos: apply_string(i, source, effect); break;
    default: apply_arithmetic(i, regs, old, effect); break;
    }
    return effect;
}

} // namespace streak::pv
