// SPDX-License-Identifier: GPL-2.0-only

// A guest's code, as the emulators of privileged instructions and of page-table writes decode it. What they make of it
// depends on the instruction's own bytes only.

#include "input.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "pv/privop_decode.hpp"
#include "pv/ptwr_decode.hpp"

using namespace streak;
using namespace streak::pv;
using fuzz::require;

namespace {

fuzz::Fault byte_short("byte-short");

using Code = std::vector<u8>;

/// An instruction's bytes, and others behind them.
[[nodiscard]] Code alone(const Code& code, unsigned length, u8 behind) {
    Code other(code.begin(), code.begin() + length - (byte_short ? 1 : 0));
    other.resize(longest_instruction, behind);
    return other;
}

void decode_privileged(const Code& code, bool long_mode) {
    const Decoded decoded = decode_privop(code, long_mode);
    if (decoded.op == PrivOp::none || decoded.op == PrivOp::truncated) return;
    require(decoded.length != 0 && decoded.length <= std::min<std::size_t>(code.size(), longest_instruction));
    require(decoded.gpr < 16 && decoded.special < 16);
    for (const u8 behind : {0x00, 0x90, 0xff})
        require(decode_privop(alone(code, decoded.length, behind), long_mode) == decoded);
    for (unsigned length = 0; length < decoded.length; ++length)
        require(decode_privop(Code(code.begin(), code.begin() + length), long_mode).op == PrivOp::truncated);
}

[[nodiscard]] bool same(const PtwrInstruction& a, const PtwrInstruction& b) {
    return a.kind == b.kind && a.bytes == b.bytes && a.length == b.length && a.reg == b.reg &&
           a.high_byte == b.high_byte && a.has_immediate == b.has_immediate && a.immediate == b.immediate &&
           a.repeat == b.repeat;
}

/// Bytes that the operand does not have stay as they are.
void apply(const PtwrInstruction& instruction, u64 old, u64 source) {
    arch::Registers regs{};
    regs.rax = old, regs.rcx = 3, regs.rdx = source;
    const u64 mask = instruction.bytes == 8 ? ~0ull : (1ull << 8 * instruction.bytes) - 1;
    const PtwrEffect effect = apply_ptwr(instruction, regs, old & mask, source);
    require((effect.value & ~mask) == 0 || !effect.write);
    require(effect.write || instruction.kind == PtwrKind::cmpxchg);
}

void decode_write(const Code& code, u64 old, u64 source) {
    const auto decoded = decode_ptwr(code);
    if (!decoded) return;
    require(decoded->length != 0 && decoded->length <= std::min<std::size_t>(code.size(), longest_instruction));
    require(std::has_single_bit(decoded->bytes) && decoded->bytes <= 8 && decoded->reg < 16);
    for (const u8 behind : {0x00, 0x90, 0xff}) {
        const auto again = decode_ptwr(alone(code, decoded->length, behind));
        require(again && same(*again, *decoded));
    }
    for (unsigned length = 0; length < decoded->length; ++length)
        require(!decode_ptwr(Code(code.begin(), code.begin() + length)));
    apply(*decoded, old, source);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Code code(data, data + std::min<std::size_t>(size, 20));
    decode_privileged(code, true);
    decode_privileged(code, false);
    fuzz::Input rest(data + code.size(), size - code.size());
    const u64 old = rest.word() | u64{rest.word()} << 32;
    decode_write(code, old, rest.word());
    return 0;
}
