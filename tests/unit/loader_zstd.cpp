// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <vector>
#include <zstd.h>

#include "loader/decoders.hpp"

// The decoder against what libzstd packs.

using namespace streak::loader;

namespace {

using Blob = std::vector<std::byte>;

constexpr std::size_t decoder_space = 512 * 1024;

LoadResult<Blob> unpack(Bytes packed, std::size_t room) {
    Blob memory(decoder_space), out(room);
    Arena arena(memory);
    const auto written = decompress_zstd(packed, out, arena);
    if (!written) return std::unexpected(written.error());
    out.resize(*written);
    return out;
}

struct Settings {
    int level = 3;
    bool checksum = false, size_in_header = true;
    int window_log = 0;
};

Blob pack(const Blob& in, const Settings& settings) {
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, settings.level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, settings.checksum);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, settings.size_in_header);
    if (settings.window_log != 0) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, 1);
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, settings.window_log);
    }
    Blob out(ZSTD_compressBound(in.size()));
    const auto written = ZSTD_compress2(context, out.data(), out.size(), in.data(), in.size());
    ZSTD_freeCCtx(context);
    REQUIRE(!ZSTD_isError(written));
    out.resize(written);
    return out;
}

enum class Kind { random, text, zeros, code };

/// Data of different entropies, with matches near and far.
Blob sample(Kind kind, std::size_t bytes, unsigned seed) {
    std::mt19937 random(seed);
    Blob out(bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
        const bool repeats = i > 100 && random() % 8 == 0;
        switch (kind) {
        case Kind::random: out[i] = static_cast<std::byte>(random()); break;
        case Kind::text: out[i] = static_cast<std::byte>('a' + random() % 4 * (random() % 5)); break;
        case Kind::zeros: out[i] = std::byte{0}; break;
        case Kind::code:
            if (repeats) { // a match of some length from anywhere before
                std::size_t from = random() % i;
                for (std::size_t n = 3 + random() % 60; n != 0 && i < bytes; --n) out[i++] = out[from++];
                --i;
            } else {
                out[i] = static_cast<std::byte>(random() % 60 * (random() % 3));
            }
        }
    }
    return out;
}

void append(Blob& to, const Blob& more) { to.insert(to.end(), more.begin(), more.end()); }

Blob skippable(std::size_t bytes) {
    Blob frame{std::byte{0x53}, std::byte{0x2A}, std::byte{0x4D}, std::byte{0x18}};
    for (unsigned i = 0; i < 4; ++i) frame.push_back(static_cast<std::byte>(bytes >> (8 * i)));
    frame.resize(8 + bytes, std::byte{0xEE});
    return frame;
}

} // namespace

TEST_CASE("zstd: all kinds of data at all levels", "[loader][zstd]") {
    for (const Kind kind : {Kind::random, Kind::text, Kind::zeros, Kind::code})
        for (const std::size_t bytes : {0ul, 1ul, 5ul, 200ul, 4000ul, 131072ul, 131073ul, 700'000ul})
            for (const int level : {-5, 1, 3, 9, 19}) {
                INFO("kind " << static_cast<int>(kind) << " bytes " << bytes << " level " << level);
                const Blob data = sample(kind, bytes, static_cast<unsigned>(bytes) + 1);
                const auto back = unpack(pack(data, {.level = level, .checksum = level % 2 == 1}), bytes);
                REQUIRE(back);
                REQUIRE(*back == data);
            }
}

TEST_CASE("zstd: long distances, sizes left out", "[loader][zstd]") {
    Blob data = sample(Kind::random, 300'000, 7);
    append(data, sample(Kind::text, 2'000'000, 8));
    append(data, Blob(data.begin(), data.begin() + 300'000));
    for (const bool size_in_header : {true, false}) {
        const auto back =
            unpack(pack(data, {.level = 19, .checksum = true, .size_in_header = size_in_header, .window_log = 27}),
                   data.size());
        REQUIRE(back);
        CHECK(*back == data);
    }
}

TEST_CASE("zstd: several frames, skippable ones, and what follows", "[loader][zstd]") {
    const Blob first = sample(Kind::code, 5000, 1), second = sample(Kind::text, 3000, 2);
    Blob file = skippable(10), both = first;
    append(file, pack(first, {}));
    append(file, skippable(0));
    append(file, pack(second, {.level = 19, .checksum = true}));
    append(file, Blob(4, std::byte{0x42})); // a kernel build's size word
    append(both, second);
    CHECK(unpack(file, both.size()) == both);
    CHECK(unpack(file, both.size() - 1).error().code == LoadErrc::output_too_small);
}

TEST_CASE("zstd: every beginning of a file is refused", "[loader][zstd][hostile]") {
    const Blob data = sample(Kind::code, 3000, 3), file = pack(data, {.level = 19, .checksum = true});
    for (std::size_t size = 0; size < file.size(); ++size) {
        INFO(size);
        CHECK(!unpack(Bytes(file).first(size), data.size()));
    }
    CHECK(unpack(file, data.size()) == data);
}

TEST_CASE("zstd: a wrong bit is noticed or harmless", "[loader][zstd][hostile]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (const Kind kind : {Kind::text, Kind::code}) {
        const Blob data = sample(kind, 20'000, seed), file = pack(data, {.level = 19, .checksum = true});
        for (unsigned round = 0; round < 3000; ++round) {
            Blob bad = file;
            for (unsigned flips = 1 + random() % 3; flips != 0; --flips)
                bad[random() % bad.size()] ^= static_cast<std::byte>(1u << random() % 8);
            const auto back = unpack(bad, data.size());
            // A flipped check-sum flag may let other data through; what the flag covers must be right.
            if (back && bad[4] == file[4]) CHECK(*back == data);
        }
    }
}

TEST_CASE("zstd: dictionaries and other formats are named", "[loader][zstd]") {
    Blob file = pack(sample(Kind::text, 1000, 4), {});
    file[4] |= std::byte{1}; // a dictionary's number follows
    file.insert(file.begin() + 5, std::byte{9});
    CHECK(!unpack(file, 1000));
    CHECK(unpack({}, 10).error().code == LoadErrc::corrupt);
    Blob small(100), out(10);
    Arena arena(small);
    CHECK(decompress_zstd(file, out, arena).error().code == LoadErrc::arena_too_small);
}
