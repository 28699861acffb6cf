// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>

#include "pv/privop_decode.hpp"

// What the decoders of privileged instructions and of page-table writes have in common.

namespace streak::pv {

/// Takes the bytes of an instruction one after the other; past the end it yields zeros and says so.
class CodeReader {
public:
    explicit CodeReader(std::span<const u8> code)
        : code_(code.first(std::min<std::size_t>(code.size(), longest_instruction))) {}

    u8 next() {
        if (at_ < code_.size()) return code_[at_++];
        ok_ = false;
        return 0;
    }
    void skip(unsigned n) {
        at_ += n;
        ok_ = ok_ && at_ <= code_.size();
    }
    u64 signed_value(unsigned bytes) {
        u64 value = 0;
        for (unsigned i = 0; i < bytes; ++i) value |= static_cast<u64>(next()) << (8 * i);
        const unsigned unused = 64 - 8 * bytes;
        return static_cast<u64>(static_cast<i64>(value << unused) >> unused);
    }
    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] u8 at() const { return static_cast<u8>(at_); }

private:
    std::span<const u8> code_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

struct Prefixes {
    u8 rex = 0;
    bool operand_size = false, address_size = false, repeat = false, lock = false;
    SegmentOverride segment = SegmentOverride::none;
};

/// Notes one legacy prefix; false when `byte` is none.
inline bool take_prefix(u8 byte, Prefixes& p) {
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
inline u8 take_prefixes(CodeReader& code, bool long_mode, Prefixes& p) {
    for (;;) {
        const u8 byte = code.next();
        if (!code.ok()) return 0;
        if (long_mode && (byte & 0xf0) == 0x40) p.rex = byte;
        else if (take_prefix(byte, p)) p.rex = 0;
        else return byte;
    }
}

} // namespace streak::pv
