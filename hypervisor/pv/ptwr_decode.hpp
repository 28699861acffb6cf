// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <span>

#include "arch/registers.hpp"

// The instructions with which guest kernels write page-table entries in place (Intel SDM 2). Pure.

namespace streak::pv {

enum class PtwrKind : u8 { mov, xchg, xadd, cmpxchg, add, sub, or_, and_, xor_, bts, btr, btc, movs, stos };

/// An instruction whose memory operand is the destination; the fault says where that is.
struct PtwrInstruction {
    PtwrKind kind{};
    u8 bytes = 0;           ///< operand size: 1, 2, 4, 8
    u8 length = 0;          ///< of the instruction
    u8 reg = 0;             ///< register operand, 0..15
    bool high_byte = false; ///< `reg` names AH, CH, DH or BH
    bool has_immediate = false;
    u64 immediate = 0;   ///< sign-extended
    bool repeat = false; ///< movs, stos
};

/// Empty: not one of them. 64-bit mode.
[[nodiscard]] std::optional<PtwrInstruction> decode_ptwr(std::span<const u8> code);

/// What an instruction does to a destination that holds `old` (of instruction.bytes).
struct PtwrEffect {
    bool write = true; ///< a failed cmpxchg writes nothing
    u64 value = 0;
    arch::Registers regs; ///< the registers afterwards
};
/// `source`: what movs reads.
[[nodiscard]] PtwrEffect apply_ptwr(const PtwrInstruction& instruction, const arch::Registers& regs, u64 old,
                                    u64 source);

} // namespace streak::pv
