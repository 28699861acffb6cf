// SPDX-License-Identifier: GPL-2.0-only
#include "loader/decoders.hpp"

#include <bit>
#include <new>

#include "loader/copy.hpp"
#include "loader/zstd_entropy.hpp"

namespace streak::loader {

namespace {

using namespace zstd;

constexpr std::size_t max_block = 128 * 1024;
constexpr std::size_t slack = copy_slack;

// Lengths have codes; each stands for as many values as its extra bits count, from the end of the one before.

struct LengthCode {
    std::uint32_t base;
    std::uint8_t extra;
};

template <std::size_t codes> constexpr std::array<LengthCode, codes> length_codes(std::uint32_t base, unsigned plain,
                                                                                  const std::uint8_t (&extra)[codes]) {
    std::array<LengthCode, codes> table{};
    for (std::size_t i = 0; i < codes; ++i) {
        const std::uint8_t bits = i < plain ? 0 : extra[i - plain];
        table[i] = {base, bits};
        base += 1u << bits;
    }
    return table;
}

constexpr auto literal_codes =
    length_codes<36>(0, 16, {1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
constexpr auto match_codes =
    length_codes<53>(3, 32, {1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
static_assert(literal_codes.back().base == 65536 && match_codes.back().base == 65539);

// Distributions of the codes where a block brings none (RFC 8878 3.1.1.3.2.2).
constexpr std::int16_t literal_default[] = {4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1,  1,  2,  2,
                                            2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1};
constexpr std::int16_t match_default[] = {1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1,  1,  1,  1,  1,  1,  1, 1,
                                          1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1,  1,  1, 1,
                                          1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1};
constexpr std::int16_t offset_default[] = {1, 1, 1, 1, 1, 1, 2, 2, 2, 1,  1,  1,  1,  1, 1,
                                           1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1};

struct CodeKind {
    unsigned symbols, log_limit, default_log;
    std::span<const std::int16_t> default_counts;
};
enum Kind : unsigned { literal_length, offset_code, match_length, kinds };
constexpr CodeKind code_kinds[kinds] = {
    {36, 9, 6, literal_default}, {32, 8, 5, offset_default}, {53, 9, 6, match_default}};

/// XXH64 with seed 0 (xxhash_spec.md).
class Xxh64 {
public:
    static std::uint64_t of(Bytes data) {
        std::uint64_t lane[4] = {p1 + p2, p2, 0, 0 - p1}, hash = p5;
        std::size_t at = 0;
        for (; data.size() - at >= 32; at += 32)
            for (unsigned i = 0; i < 4; ++i) lane[i] = mix(lane[i], load<std::uint64_t>(data, at + 8 * i));
        if (at != 0) {
            hash = std::rotl(lane[0], 1) + std::rotl(lane[1], 7) + std::rotl(lane[2], 12) + std::rotl(lane[3], 18);
            for (const std::uint64_t each : lane) hash = (hash ^ mix(0, each)) * p1 + p4;
        }
        hash += data.size();
        for (; data.size() - at >= 8; at += 8)
            hash = std::rotl(hash ^ mix(0, load<std::uint64_t>(data, at)), 27) * p1 + p4;
        for (; data.size() - at >= 4; at += 4)
            hash = std::rotl(hash ^ load<std::uint32_t>(data, at) * p1, 23) * p2 + p3;
        for (; at < data.size(); ++at) hash = std::rotl(hash ^ load<std::uint8_t>(data, at) * p5, 11) * p1;
        hash = (hash ^ hash >> 33) * p2;
        hash = (hash ^ hash >> 29) * p3;
        return hash ^ hash >> 32;
    }

private:
    static constexpr std::uint64_t p1 = 0x9E3779B185EBCA87, p2 = 0xC2B2AE3D27D4EB4F, p3 = 0x165667B19E3779F9,
                                   p4 = 0x85EBCA77C2B2AE63, p5 = 0x27D4EB2F165667C5;

    static std::uint64_t mix(std::uint64_t lane, std::uint64_t word) { return std::rotl(lane + word * p2, 31) * p1; }
    template <class T> static T load(Bytes data, std::size_t at) {
        T value;
        __builtin_memcpy(&value, data.data() + at, sizeof value);
        return value;
    }
};

/// What a section's bytes are taken from: what was taken can't be taken again.
class Reader {
public:
    explicit Reader(Bytes data) : data_(data) {}

    /// The next `bytes` bytes, or nothing.
    std::optional<Bytes> take(std::size_t bytes) {
        const auto taken = slice(data_, 0, bytes);
        if (taken) data_ = data_.subspan(bytes);
        return taken;
    }
    /// The next `bytes` (8 at most) bytes as a number, lowest first.
    std::optional<std::uint64_t> number(std::size_t bytes) {
        const auto taken = take(bytes);
        if (!taken) return std::nullopt;
        std::uint64_t value = 0;
        __builtin_memcpy(&value, taken->data(), bytes);
        return value;
    }
    [[nodiscard]] Bytes rest() const { return data_; }

private:
    Bytes data_;
};

std::unexpected<LoadError> damaged(std::string_view item, std::uint64_t expected = 0, std::uint64_t found = 0) {
    return refuse(LoadErrc::corrupt, item, expected, found);
}
std::unexpected<LoadError> cut(std::string_view item) { return refuse(LoadErrc::truncated, item); }

/// Decodes one frame after the other; what one frame leaves is forgotten before the next.
class Decoder {
public:
    /// One frame behind its magic number (RFC 8878 3.1.1).
    LoadResult<std::size_t> frame(Reader& in, std::span<std::byte> out) {
        constexpr unsigned dictionary_bytes[] = {0, 1, 2, 4}, size_bytes[] = {0, 2, 4, 8};
        const auto flags = in.number(1);
        if (!flags) return cut("zstd frame");
        const bool single = *flags & 0x20, checked = *flags & 4;
        const unsigned size_field = *flags >> 6 == 0 && single ? 1 : size_bytes[*flags >> 6];
        if (*flags & 8) return damaged("zstd frame", 0, *flags);
        const auto window = in.number(single ? 0 : 1), dictionary = in.number(dictionary_bytes[*flags & 3]);
        const auto field = in.number(size_field);
        if (!window || !dictionary || !field) return cut("zstd frame");
        if (*dictionary != 0) return refuse(LoadErrc::unsupported_compression, "zstd dictionary", 0, *dictionary);
        const std::uint64_t size = *field + (size_field == 2 ? 256 : 0);
        if (size > out.size()) return refuse(LoadErrc::output_too_small, "zstd", out.size(), size);

        out_ = out;
        written_ = 0;
        recent_[0] = 1, recent_[1] = 4, recent_[2] = 8;
        have_huffman_ = have_[0] = have_[1] = have_[2] = false;
        TRY(blocks(in));
        if (size_field != 0 && written_ != size) return damaged("zstd size", size, written_);
        const auto stored = in.number(checked ? 4 : 0);
        if (!stored) return cut("zstd check sum");
        const auto sum = checked ? static_cast<std::uint32_t>(Xxh64::of(out.first(written_))) : 0;
        if (sum != *stored) return damaged("zstd check sum", *stored, sum);
        return written_;
    }

private:
    LoadResult<> room_for(std::size_t bytes) const {
        if (bytes > out_.size() - written_)
            return refuse(LoadErrc::output_too_small, "zstd", out_.size(), written_ + bytes);
        return {};
    }

    LoadResult<> coded_literals(Reader& in, unsigned kind, unsigned size_format) {
        constexpr unsigned size_bits[] = {10, 10, 14, 18}, header_bytes[] = {3, 3, 4, 5};
        const auto header = in.number(header_bytes[size_format]);
        if (!header) return cut("zstd literals");
        const unsigned width = size_bits[size_format];
        literal_count_ = *header >> 4 & ((1u << width) - 1);
        auto body = in.take(*header >> (4 + width) & ((1u << width) - 1));
        if (!body || literal_count_ > max_block) return damaged("zstd literals", max_block, literal_count_);
        if (kind == 2) {
            const auto table = huffman_.read(*body, scratch_);
            have_huffman_ = table.has_value();
            body = body->subspan(table.value_or(0));
        }
        if (!have_huffman_) return damaged("zstd Huffman table");
        if (!huffman_.decode(*body, size_format == 0 ? 1 : 4, std::span(literals_).first(literal_count_)))
            return damaged("zstd literals");
        return {};
    }

    /// The literals section (RFC 8878 3.1.1.3.1), into `literals_`.
    LoadResult<> read_literals(Reader& in) {
        const auto first = read_at<std::uint8_t>(in.rest(), 0);
        if (!first) return cut("zstd literals");
        const unsigned kind = *first & 3, size_format = *first >> 2 & 3;
        literals_used_ = 0;
        if (kind >= 2) return coded_literals(in, kind, size_format);
        constexpr unsigned header_bytes[] = {1, 2, 1, 3};
        const auto header = in.number(header_bytes[size_format]);
        if (!header) return cut("zstd literals");
        literal_count_ = *header >> (size_format % 2 == 0 ? 3 : 4);
        const auto body = in.take(kind == 0 ? literal_count_ : 1);
        if (!body || literal_count_ > max_block) return damaged("zstd literals", max_block, literal_count_);
        if (kind == 0) std::copy(body->begin(), body->end(), literals_);
        else std::fill_n(literals_, literal_count_, body->front());
        return {};
    }

    bool read_codes(Reader& in, Kind kind, unsigned mode) {
        enum : unsigned { predefined, single, described, repeated };
        const CodeKind& known = code_kinds[kind];
        FseTable& table = fse_[kind];
        if (mode == repeated) return have_[kind];
        have_[kind] = true;
        if (mode == predefined) {
            table.log = known.default_log;
            table.build(known.default_counts);
        } else if (mode == single) {
            const auto symbol = in.number(1);
            if (!symbol || *symbol >= known.symbols) return have_[kind] = false;
            table.build_single(static_cast<std::uint8_t>(*symbol));
        } else {
            const auto bytes = table.read(in.rest(), known.log_limit, known.symbols);
            have_[kind] = bytes && in.take(*bytes);
        }
        return have_[kind];
    }

    /// The distance that an offset's value stands for: one to three are those used last (RFC 8878 3.1.1.5).
    std::size_t distance(std::uint64_t value, bool no_literals) {
        const std::uint64_t which = value + (no_literals && value <= 3) - 1;
        if (value <= 3 && which == 0) return recent_[0];
        const std::size_t found = value > 3 ? value - 3 : which == 3 ? recent_[0] - 1 : recent_[which];
        if (value > 3 || which != 1) recent_[2] = recent_[1];
        recent_[1] = recent_[0];
        return recent_[0] = found;
    }

    bool append_literals(std::size_t bytes) {
        if (bytes > literal_count_ - literals_used_) return false;
        const std::byte* const from = literals_ + literals_used_;
        if (out_.size() - written_ >= bytes + slack) copy_eights(out_.data() + written_, from, bytes);
        else std::copy_n(from, bytes, out_.data() + written_);
        literals_used_ += bytes;
        written_ += bytes;
        return true;
    }

    bool sequence(std::size_t literals, std::size_t distance, std::size_t match) {
        if (!append_literals(literals) || distance - 1 >= written_) return false;
        copy_match(out_.data() + written_, distance, match, out_.size() - written_ >= match + slack);
        written_ += match;
        return true;
    }

    LoadResult<> sequences(Reader& in, unsigned count) {
        const auto modes = in.number(1);
        if (!modes || *modes % 4 != 0) return damaged("zstd sequence codes");
        for (const Kind kind : {literal_length, offset_code, match_length})
            if (!read_codes(in, kind, *modes >> (6 - 2 * kind) & 3)) return damaged("zstd sequence codes");
        BackwardBits bits;
        if (!bits.open(in.rest())) return damaged("zstd sequences");
        const FseTable::State* now[kinds];
        for (const Kind kind : {literal_length, offset_code, match_length})
            now[kind] = &fse_[kind].state[bits.take(fse_[kind].log)];
        for (; count != 0; --count) {
            const LengthCode literals = literal_codes[now[literal_length]->symbol];
            const LengthCode match = match_codes[now[match_length]->symbol];
            const unsigned offset_bits = now[offset_code]->symbol;
            bits.refill();
            const std::uint64_t offset = (1ull << offset_bits) + bits.take(offset_bits);
            const std::size_t match_bytes = match.base + bits.take(match.extra);
            bits.refill();
            const std::size_t literal_bytes = literals.base + bits.take(literals.extra);
            if (count != 1)
                for (const Kind kind : {literal_length, match_length, offset_code})
                    now[kind] = &fse_[kind].state[now[kind]->next + bits.take(now[kind]->bits)];
            TRY(room_for(literal_bytes + match_bytes));
            if (!sequence(literal_bytes, distance(offset, literal_bytes == 0), match_bytes))
                return damaged("zstd sequence", written_, recent_[0]);
        }
        if (bits.left() != 0) return damaged("zstd sequences");
        return {};
    }

    LoadResult<> compressed_block(Bytes block) {
        Reader in(block);
        TRY(read_literals(in));
        auto count = in.number(1);
        if (count && *count >= 128) {
            const bool longest = *count == 255;
            const auto more = in.number(longest ? 2 : 1);
            if (more) *count = longest ? *more + 0x7F00 : ((*count - 128) << 8) + *more;
            if (!more) count.reset();
        }
        if (!count) return cut("zstd sequences");
        if (*count != 0) {
            TRY(sequences(in, static_cast<unsigned>(*count)));
        } else if (!in.rest().empty()) {
            return damaged("zstd block", 0, in.rest().size());
        }
        const std::size_t last = literal_count_ - literals_used_;
        TRY(room_for(last));
        append_literals(last);
        return {};
    }

    LoadResult<> blocks(Reader& in) {
        enum : unsigned { raw, repeated, compressed };
        for (bool last = false; !last;) {
            const auto header = in.number(3);
            if (!header) return cut("zstd block");
            last = *header & 1;
            const unsigned kind = *header >> 1 & 3;
            const std::size_t size = *header >> 3, before = written_;
            if (kind > compressed || size > max_block) return damaged("zstd block", max_block, size);
            const auto body = in.take(kind == repeated ? 1 : size);
            if (!body) return cut("zstd block");
            if (kind == compressed) {
                TRY(compressed_block(*body));
                if (written_ - before > max_block) return damaged("zstd block", max_block, written_ - before);
                continue;
            }
            TRY(room_for(size));
            if (kind == raw) std::copy(body->begin(), body->end(), out_.data() + written_);
            else std::fill_n(out_.data() + written_, size, body->front());
            written_ += size;
        }
        return {};
    }

    std::span<std::byte> out_{};
    std::size_t written_ = 0;
    std::size_t recent_[3] = {};
    std::size_t literal_count_ = 0, literals_used_ = 0;
    bool have_huffman_ = false, have_[kinds] = {};
    FseTable fse_[kinds], scratch_;
    HuffmanTable huffman_;
    std::byte literals_[max_block + slack];
};

} // namespace

LoadResult<std::size_t> decompress_zstd(Bytes data, std::span<std::byte> out, Arena& arena) {
    constexpr std::uint32_t frame_magic = 0xFD2FB528, skippable_magic = 0x184D2A50; // to ...5F
    void* const memory = arena.take(sizeof(Decoder));
    if (memory == nullptr) return refuse(LoadErrc::arena_too_small, "zstd", arena.size(), sizeof(Decoder));
    Decoder& decoder = *new (memory) Decoder;
    Reader in(data);
    std::size_t written = 0;
    for (bool first = true;; first = false) {
        const auto magic = read_at<std::uint32_t>(in.rest(), 0);
        const bool skippable = magic && *magic >> 4 == skippable_magic >> 4;
        if (!skippable && magic != frame_magic) {
            if (first) return damaged("zstd magic", frame_magic, magic.value_or(0));
            return written;
        }
        (void)in.take(sizeof *magic);
        if (skippable) {
            const auto size = in.number(sizeof(std::uint32_t));
            if (!size || !in.take(*size)) return cut("zstd skippable frame");
            continue;
        }
        TRY_ASSIGN(bytes, decoder.frame(in, out.subspan(written)));
        written += bytes;
    }
}

} // namespace streak::loader
