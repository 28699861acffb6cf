// SPDX-License-Identifier: GPL-2.0-only
#include "loader/zstd_entropy.hpp"

#include <bit>

namespace streak::loader::zstd {

namespace {

/// `count` (16 at most) bits from bit `at` on, lowest first; zeros behind the end.
unsigned bits_at(Bytes in, std::size_t at, unsigned count) {
    unsigned word = 0;
    for (std::size_t i = 0; i < 3 && at / 8 + i < in.size(); ++i)
        word |= std::to_integer<unsigned>(in[at / 8 + i]) << (8 * i);
    return word >> at % 8 & ((1u << count) - 1);
}

} // namespace

bool BackwardBits::open(Bytes data) {
    if (data.empty() || data.back() == std::byte{0}) return false;
    data_ = data.data();
    left_ = static_cast<std::int64_t>(data.size()) * 8 - 9 + std::bit_width(std::to_integer<unsigned>(data.back()));
    refill();
    return true;
}

void BackwardBits::refill_last() {
    word_ = 0;
    if (left_ <= 0) return;
    __builtin_memcpy(&word_, data_, static_cast<std::size_t>(left_ + 7) / 8);
    word_ <<= 64 - left_;
}

void FseTable::build(std::span<const std::int16_t> counts) {
    const unsigned size = 1u << log, step = size / 2 + size / 8 + 3;
    unsigned seen[64], end = size, at = 0;
    for (unsigned s = 0; s < counts.size(); ++s) {
        seen[s] = counts[s] < 0 ? 1 : static_cast<unsigned>(counts[s]);
        if (counts[s] < 0) state[--end].symbol = static_cast<std::uint8_t>(s);
    }
    for (unsigned s = 0; s < counts.size(); ++s)
        for (int i = 0; i < counts[s]; ++i) {
            state[at].symbol = static_cast<std::uint8_t>(s);
            // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): `size` is a power of two
            do at = (at + step) % size;
            while (at >= end); // ends: `step` is odd, and state 0 isn't of the rare ones at the end
        }
    for (State& each : std::span(state).first(size)) {
        const unsigned number = seen[each.symbol]++;
        each.bits = static_cast<std::uint8_t>(log + 1 - static_cast<unsigned>(std::bit_width(number)));
        each.next = static_cast<std::uint16_t>((number << each.bits) - size);
    }
}

void FseTable::build_single(std::uint8_t symbol) {
    log = 0;
    state[0] = {.next = 0, .bits = 0, .symbol = symbol};
}

std::optional<std::size_t> FseTable::read(Bytes in, unsigned log_limit, unsigned symbols) {
    std::int16_t counts[64]{};
    log = bits_at(in, 0, 4) + 5;
    if (log > log_limit) return std::nullopt;
    std::size_t at = 4;
    unsigned symbol = 0;
    for (unsigned left = 1u << log; left != 0;) {
        if (symbol >= symbols) return std::nullopt;
        // A value from 0 to left + 1; as many of the small ones as there is room for save a bit.
        const auto width = static_cast<unsigned>(std::bit_width(left + 1));
        // NOLINTNEXTLINE(clang-analyzer-core.BitwiseShift): `left` is not 0, so the width is two at least
        const unsigned half = 1u << (width - 1), short_ones = 2 * half - 2 - left;
        unsigned value = bits_at(in, at, width - 1);
        at += width - 1;
        if (value >= short_ones) {
            if (bits_at(in, at++, 1) != 0) value += half - short_ones;
        }
        counts[symbol++] = static_cast<std::int16_t>(static_cast<int>(value) - 1);
        left -= value == 0 ? 1 : value - 1;
        for (unsigned zeros = value == 1 ? 3 : 0; zeros == 3; at += 2, symbol += zeros) {
            zeros = bits_at(in, at, 2);
            if (at / 8 >= in.size()) return std::nullopt;
        }
    }
    const std::size_t bytes = (at + 7) / 8;
    if (bytes > in.size() || symbol > symbols) return std::nullopt;
    build(std::span<const std::int16_t>(counts).first(symbol));
    return bytes;
}

namespace {

constexpr unsigned most_weights = 255; // the last symbol's follows from the others

/// Weights packed with codes of their own: two states take turns until the bits run out.
std::optional<unsigned> packed_weights(Bytes in, FseTable& table, std::span<std::uint8_t> weights) {
    constexpr unsigned weight_log = 6;
    const auto header = table.read(in, weight_log, HuffmanTable::max_log + 1);
    BackwardBits bits;
    if (!header || !bits.open(in.subspan(*header))) return std::nullopt;
    std::uint64_t state[2] = {bits.take(table.log), bits.take(table.log)};
    if (bits.left() < 0) return std::nullopt;
    for (unsigned count = 0; count < most_weights - 1; ++count) {
        const auto& current = table.state[state[count % 2]];
        weights[count] = current.symbol;
        bits.refill();
        state[count % 2] = current.next + bits.take(current.bits);
        if (bits.left() >= 0) continue;
        weights[count + 1] = table.state[state[(count + 1) % 2]].symbol;
        return count + 2;
    }
    return std::nullopt;
}

} // namespace

std::optional<std::size_t> HuffmanTable::read(Bytes in, FseTable& scratch) {
    std::uint8_t weights[most_weights + 1]{};
    const auto header = read_at<std::uint8_t>(in, 0);
    if (!header) return std::nullopt;
    const bool packed = *header < 128;
    const unsigned plain = packed ? 0 : *header - 127u; // two in a byte, the higher nibble first
    const auto body = slice(in, 1, packed ? *header : (plain + 1) / 2);
    if (!body) return std::nullopt;
    for (unsigned i = 0; i < plain; ++i)
        weights[i] = std::to_integer<std::uint8_t>((*body)[i / 2] >> (i % 2 == 0 ? 4 : 0) & std::byte{15});
    const auto count = packed ? packed_weights(*body, scratch, weights) : plain;
    if (!count || !build(std::span(weights).first(*count + 1))) return std::nullopt;
    return 1 + body->size();
}

bool HuffmanTable::build(std::span<std::uint8_t> weights) {
    unsigned sum = 0; // of codes of the full length
    for (const unsigned weight : weights) {
        if (weight > max_log) return false;
        sum += 1u << weight >> 1;
    }
    log = static_cast<unsigned>(std::bit_width(sum));
    const unsigned rest = (1u << log) - sum; // the last symbol's
    if (sum == 0 || log > max_log || !std::has_single_bit(rest)) return false;
    weights.back() = static_cast<std::uint8_t>(std::bit_width(rest));
    Code* to = code;
    for (unsigned weight = 1; weight <= log; ++weight)
        for (unsigned symbol = 0; symbol < weights.size(); ++symbol)
            if (weights[symbol] == weight)
                to = std::fill_n(to, 1u << (weight - 1),
                                 Code{static_cast<std::uint8_t>(symbol), static_cast<std::uint8_t>(log + 1 - weight)});
    return true;
}

bool HuffmanTable::decode(Bytes in, unsigned streams, std::span<std::byte> out) const {
    BackwardBits bits[4];
    const std::size_t part = (out.size() + streams - 1) / streams; // only the last stream is shorter
    if (part * (streams - 1) > out.size()) return false;
    std::size_t start = streams == 4 ? 3 * sizeof(std::uint16_t) : 0;
    for (unsigned s = 0; s < streams; ++s) {
        const auto size = s + 1 < streams ? read_at<std::uint16_t>(in, s * sizeof(std::uint16_t)).value_or(0)
                                          : in.size() - std::min(in.size(), start);
        const auto stream = slice(in, start, size);
        if (!stream || !bits[s].open(*stream)) return false;
        start += size;
    }
    const unsigned width = log;
    const auto next = [this, width](BackwardBits& from) {
        const Code found = code[from.peek(width)];
        from.skip(found.bits);
        return std::byte{found.symbol};
    };
    constexpr unsigned sure = 57 / max_log; // symbols of one refill
    std::size_t done = 0;
    for (const std::size_t last = out.size() - part * (streams - 1); last - done >= sure; done += sure)
        for (unsigned s = 0; s < streams; ++s) { // in turns, as one stream's symbols wait for each other
            BackwardBits from = bits[s];
            from.refill();
            std::byte* const to = out.data() + s * part + done;
            for (unsigned i = 0; i < sure; ++i) to[i] = next(from);
            bits[s] = from;
        }
    for (unsigned s = 0; s < streams; ++s) {
        for (std::size_t at = s * part + done; at < std::min((s + 1) * part, out.size()); ++at) {
            bits[s].refill();
            out[at] = next(bits[s]);
        }
        if (bits[s].left() != 0) return false;
    }
    return true;
}

} // namespace streak::loader::zstd
