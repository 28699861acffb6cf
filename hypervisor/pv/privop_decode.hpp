// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <span>

#include "lib/types.hpp"

// Which privileged operation do these bytes mean? Pure: no guest state is looked at (Intel SDM 2A 2.1, 2B).

namespace streak::pv {

enum class PrivOp : u8 {
    none,      ///< not one that is emulated
    truncated, ///< the bytes end before the instruction does
    software_interrupt,
    in,
    out,
    ins,
    outs,
    cli,
    sti,
    clts,
    lmsw,
    smsw,
    read_cr,
    write_cr,
    read_dr,
    write_dr,
    read_msr,
    write_msr,
    read_tsc,
    read_tscp,
    set_xcr,
    cpuid,
    invalidate_caches
};

enum class SegmentOverride : u8 { none, fs, gs };

/// One decoded instruction.
struct Decoded {
    PrivOp op = PrivOp::none;
    u8 length = 0;        ///< bytes, prefixes included
    u8 operand_bytes = 0; ///< ports: 1, 2 or 4; SMSW: 2, 4 or 8
    u8 address_bytes = 0; ///< string operations: 4 or 8
    u8 special = 0;       ///< number of the control or debug register
    u8 gpr = 0;           ///< number of the general register, in the processor's order (0 = rax, 1 = rcx …)
    u8 immediate = 0;     ///< port, or vector of a software interrupt
    bool port_in_dx = false;
    bool repeat = false;
    SegmentOverride segment = SegmentOverride::none;

    friend bool operator==(const Decoded&, const Decoded&) = default;
};

/// Longest instruction that the processor accepts.
inline constexpr unsigned longest_instruction = 15;

/// Decodes the first instruction of `bytes`, as 64-bit code or as 32-bit code.
[[nodiscard]] Decoded decode_privop(std::span<const u8> bytes, bool long_mode);

} // namespace streak::pv
