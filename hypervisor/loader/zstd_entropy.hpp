// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/bytes.hpp"

namespace streak::loader::zstd {

/// A bit stream that is read from its end (RFC 8878 4.1): the last byte's highest one ends it. Bits in front
/// of its start read as zeros, and left() is negative then.
class BackwardBits {
public:
    [[nodiscard]] bool open(Bytes data);

    /// At least 57 bits may be taken, or looked at, after this.
    void refill() {
        const std::int64_t bytes = (left_ + 7) >> 3;
        if (bytes < 8) [[unlikely]]
            return refill_last();
        __builtin_memcpy(&word_, data_ + bytes - 8, sizeof word_);
        word_ <<= bytes * 8 - left_;
    }
    /// The next `bits` bits, 1 to 57.
    [[nodiscard]] std::uint64_t peek(unsigned bits) const { return word_ >> (64 - bits); }
    void skip(unsigned bits) {
        word_ <<= bits;
        left_ -= bits;
    }
    /// Takes `bits` bits, 0 to 57.
    [[nodiscard]] std::uint64_t take(unsigned bits) {
        const std::uint64_t value = word_ >> 1 >> (63 - bits);
        skip(bits);
        return value;
    }
    [[nodiscard]] std::int64_t left() const { return left_; }

private:
    void refill_last();

    const std::byte* data_ = nullptr;
    std::int64_t left_ = 0;
    std::uint64_t word_ = 0; // the next bits, highest first
};

/// A table of finite state entropy codes (RFC 8878 4.1): every state stands for a symbol and for the states that
/// `bits` more bits lead to, from `next` on.
struct FseTable {
    static constexpr unsigned max_log = 9;

    struct State {
        std::uint16_t next;
        std::uint8_t bits, symbol;
    };
    State state[1 << max_log];
    unsigned log;

    /// The table of a distribution, -1 meaning "less than one"; the sum, each -1 taken as 1, is 1 << log.
    void build(std::span<const std::int16_t> counts);
    /// The table in which `symbol` needs no bits.
    void build_single(std::uint8_t symbol);
    /// Reads a description of at most `log_limit` (5 to 9) bits and `symbols` (53 at most) symbols; returns its bytes.
    [[nodiscard]] std::optional<std::size_t> read(Bytes in, unsigned log_limit, unsigned symbols);
};

/// A table of Huffman codes of bytes (RFC 8878 4.2), indexed by the next `log` bits.
struct HuffmanTable {
    static constexpr unsigned max_log = 11;

    struct Code {
        std::uint8_t symbol, bits;
    };
    Code code[1 << max_log];
    unsigned log;

    /// Reads a description, with `scratch` for the codes of the weights; returns its bytes.
    [[nodiscard]] std::optional<std::size_t> read(Bytes in, FseTable& scratch);
    /// Decodes one stream, or four behind a table of their sizes, into all of `out`.
    [[nodiscard]] bool decode(Bytes in, unsigned streams, std::span<std::byte> out) const;

private:
    [[nodiscard]] bool build(std::span<std::uint8_t> weights);
};

} // namespace streak::loader::zstd
