// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "loader/decompress.hpp"
#include "loader/elf_notes.hpp"
#include "loader/lz4_block.hpp"
#include "loader_test_elf.hpp"

using namespace streak::loader;
using namespace loader_test;

namespace {

/// Something like a program: repeats, runs, and noise.
Blob sample(std::size_t bytes) {
    std::mt19937 random(7);
    Blob blob;
    while (blob.size() < bytes) {
        switch (random() % 4) {
        case 0: blob.insert(blob.end(), random() % 300, std::byte{0}); break;
        case 1: append(blob, static_cast<std::uint32_t>(random())); break;
        case 2: append_text(blob, "the quick brown hypervisor jumps over the lazy kernel"); break;
        default:
            if (const std::size_t back = blob.size() < 9 ? 0 : random() % (blob.size() - 8); back != 0)
                for (std::size_t i = 0; i < 40; ++i) blob.push_back(blob[blob.size() - back]);
        }
    }
    blob.resize(bytes);
    return blob;
}

std::uint8_t* raw(Blob& blob) { return reinterpret_cast<std::uint8_t*>(blob.data()); }
const std::uint8_t* raw(const Blob& blob) { return reinterpret_cast<const std::uint8_t*>(blob.data()); }

Blob gzip(const Blob& in) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    Blob out(deflateBound(&stream, in.size()) + 64);
    stream.next_in = const_cast<Bytef*>(raw(in));
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = raw(out);
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

Blob xz_with(const Blob& in, lzma_check check, std::uint32_t dictionary) {
    lzma_options_lzma options;
    lzma_lzma_preset(&options, 6);
    options.dict_size = dictionary;
    lzma_filter filters[] = {{LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
    Blob out(lzma_stream_buffer_bound(in.size()));
    std::size_t written = 0;
    REQUIRE(lzma_stream_buffer_encode(filters, check, nullptr, raw(in), in.size(), raw(out), &written, out.size()) ==
            LZMA_OK);
    out.resize(written);
    return out;
}

Blob xz(const Blob& in) { return xz_with(in, LZMA_CHECK_CRC32, 1 << 20); } // as Linux' xz_wrap.sh does

Blob zstd(const Blob& in) {
    Blob out(ZSTD_compressBound(in.size()));
    const auto written = ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 19);
    REQUIRE(!ZSTD_isError(written));
    out.resize(written);
    return out;
}

Blob lz4_block(Bytes in) {
    Blob out(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(in.size()))));
    const int written =
        LZ4_compress_default(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                             static_cast<int>(in.size()), static_cast<int>(out.size()));
    REQUIRE(written > 0);
    out.resize(static_cast<std::size_t>(written));
    return out;
}

/// `lz4 -l`: the legacy frame, here with small blocks so that there are several.
Blob lz4(const Blob& in) {
    Blob out;
    append(out, std::uint32_t{0x184C2102});
    for (std::size_t at = 0; at < in.size(); at += 65536) {
        const auto block = lz4_block(Bytes(in).subspan(at, std::min<std::size_t>(65536, in.size() - at)));
        append(out, static_cast<std::uint32_t>(block.size()));
        out.insert(out.end(), block.begin(), block.end());
    }
    return out;
}

void append_be(Blob& blob, std::uint32_t value) { append(blob, __builtin_bswap32(value)); }

/// `lzop -9`: flags 0x03000001 (Unix, Adler-32 of the data), 256 KiB blocks.
Blob lzo(const Blob& in) {
    REQUIRE(lzo_init() == LZO_E_OK);
    Blob out;
    append_text(out, std::string_view("\x89LZO\0\r\n\x1A\n", 9));
    append_text(out, std::string_view("\x10\x30\x20\x80\x09\x40\x03\x09", 8)); // versions, method, level
    append_be(out, 0x03000001);
    for (int i = 0; i < 3; ++i) append_be(out, 0); // mode, time
    append_text(out, std::string_view("\x04name", 5));
    append_be(out, 0); // check sum of the header
    Blob work(LZO1X_1_MEM_COMPRESS);
    for (std::size_t at = 0; at < in.size(); at += 262144) {
        const auto part = Bytes(in).subspan(at, std::min<std::size_t>(262144, in.size() - at));
        Blob packed(part.size() + part.size() / 16 + 67);
        lzo_uint size = packed.size();
        REQUIRE(lzo1x_1_compress(raw(in) + at, part.size(), raw(packed), &size, raw(work)) == LZO_E_OK);
        packed.resize(size);
        if (size >= part.size()) packed.assign(part.begin(), part.end());
        append_be(out, static_cast<std::uint32_t>(part.size()));
        append_be(out, static_cast<std::uint32_t>(packed.size()));
        append_be(out, static_cast<std::uint32_t>(adler32(1, raw(in) + at, static_cast<uInt>(part.size()))));
        out.insert(out.end(), packed.begin(), packed.end());
    }
    append_be(out, 0);
    return out;
}

struct Packer {
    Format format;
    Blob (*pack)(const Blob&);
};
constexpr Packer packers[] = {
    {Format::gzip, gzip}, {Format::xz, xz}, {Format::zstd, zstd}, {Format::lz4, lz4}, {Format::lzo, lzo}};

/// A bzImage around a payload, as Linux' build makes it: everything but gzip gets a size word.
Blob bzimage(const Blob& payload, Format format, std::uint32_t size) {
    Blob file(5 * 512 + 0x100);
    file[0x1F1] = std::byte{4};
    put(file, 0x1FE, std::uint16_t{0xAA55});
    put(file, 0x202, std::uint32_t{0x53726448});
    put(file, 0x206, std::uint16_t{0x20F});
    put(file, 0x248, std::uint32_t{0x100});
    file.insert(file.end(), payload.begin(), payload.end());
    if (format != Format::gzip) append(file, size);
    put(file, 0x24C, static_cast<std::uint32_t>(file.size() - 5 * 512 - 0x100));
    append_text(file, "the rest of the image");
    return file;
}

LoadResult<Blob> unpack(const KernelPayload& payload, std::size_t extra_arena = 0) {
    Blob memory(work_space(payload.format, payload.data) + extra_arena), out(payload.decompressed_size);
    Arena arena(memory);
    const auto written = decompress(payload.format, payload.data, out, arena);
    if (!written) return std::unexpected(written.error());
    out.resize(*written);
    return out;
}

} // namespace

TEST_CASE("every kernel compression is found and undone", "[loader][decompress]") {
    const auto original = sample(700'000);
    for (const auto& [format, pack] : packers) {
        INFO(name_of(format));
        const auto file = bzimage(pack(original), format, static_cast<std::uint32_t>(original.size()));
        const auto payload = find_payload(file);
        REQUIRE(payload);
        CHECK(payload->format == format);
        CHECK(payload->decompressed_size == original.size());
        const auto unpacked = unpack(*payload);
        REQUIRE(unpacked);
        CHECK(*unpacked == original);
    }
}

TEST_CASE("xz with other check sums, and large dictionaries", "[loader][decompress]") {
    const auto original = sample(100'000);
    for (const auto check : {LZMA_CHECK_NONE, LZMA_CHECK_CRC64, LZMA_CHECK_SHA256})
        for (const std::uint32_t dictionary : {4096u, 1u << 16, 3u << 20, 32u << 20}) {
            const auto packed = xz_with(original, check, dictionary);
            CHECK(work_space(Format::xz, packed) == decoder_base_space + dictionary);
            CHECK(unpack({Format::xz, packed, original.size()}) == original);
        }
}

TEST_CASE("a plain ELF file is its own payload", "[loader][decompress]") {
    const auto file = ElfBuilder{}.load(0, 0, 4096).build();
    const auto payload = find_payload(file);
    REQUIRE(payload);
    CHECK(payload->format == Format::elf);
    CHECK(unpack(*payload) == file);
}

TEST_CASE("an ELF file behind gzip", "[loader][decompress]") {
    const auto file = ElfBuilder{}.load(0, 0, 4096).build();
    const auto packed = gzip(file);
    const auto payload = find_payload(packed);
    REQUIRE(payload);
    CHECK(unpack(*payload) == file);
}

TEST_CASE("an ELF file in LZ4, with its size behind it", "[loader][decompress]") {
    const auto file = ElfBuilder{}.load(0, 0, 4096).build();
    auto packed = lz4(file);
    append(packed, static_cast<std::uint32_t>(file.size()));
    const auto payload = find_payload(packed);
    REQUIRE(payload);
    CHECK(unpack(*payload) == file);
    packed.back() = std::byte{0xff}; // 4 GiB
    CHECK(find_payload(packed).error().code == LoadErrc::corrupt);
}

TEST_CASE("formats without a decoder are named", "[loader][decompress]") {
    for (const auto& [format, start] : {std::pair{Format::lzma, "\x5D\0\0\0\4"}, std::pair{Format::bzip2, "BZh91"}}) {
        Blob payload;
        append_text(payload, {start, 5});
        const auto file = bzimage(payload, format, 100);
        const auto found = find_payload(file);
        REQUIRE(found);
        CHECK(found->format == format);
        const auto error = unpack(*found).error();
        CHECK(error.code == LoadErrc::unsupported_compression);
        CHECK(error.found_text == name_of(format));
    }
}

TEST_CASE("what isn't a kernel is refused", "[loader][decompress]") {
    CHECK(find_payload({}).error().code == LoadErrc::not_elf);
    Blob text;
    append_text(text, "#!/bin/sh\necho this is no kernel\n");
    CHECK(find_payload(text).error().code == LoadErrc::not_elf);
    const auto good = bzimage(zstd(sample(1000)), Format::zstd, 1000);
    SECTION("payload outside") {
        auto file = good;
        put(file, 0x24C, ~0u);
        CHECK(find_payload(file).error().code == LoadErrc::truncated);
        put(file, 0x248, ~0u);
        CHECK(find_payload(file).error().code == LoadErrc::truncated);
    }
    SECTION("old boot protocol") {
        auto file = good;
        put(file, 0x206, std::uint16_t{0x207});
        CHECK(find_payload(file).error().item == "boot protocol");
    }
    SECTION("absurd size") {
        CHECK(find_payload(bzimage(zstd(sample(1000)), Format::zstd, ~0u)).error().code == LoadErrc::corrupt);
    }
    SECTION("cut off") {
        for (std::size_t size = 0; size < 2700; ++size) (void)find_payload(Bytes(good).first(size));
    }
}

TEST_CASE("too little room is told apart from damage", "[loader][decompress]") {
    const auto original = sample(300'000);
    for (const auto& [format, pack] : packers) {
        INFO(name_of(format));
        const auto packed = pack(original);
        const auto small = unpack({format, packed, original.size() - 1});
        REQUIRE(!small);
        if (format != Format::lz4) // its blocks don't tell
            CHECK(small.error().code == LoadErrc::output_too_small);
        Blob out(original.size()), memory(1000);
        Arena arena(memory);
        const auto cramped = decompress(format, packed, out, arena);
        if (format == Format::xz || format == Format::gzip || format == Format::zstd)
            CHECK(cramped.error().code == LoadErrc::arena_too_small);
    }
}

TEST_CASE("damaged streams are survived, and noticed where there is a check sum", "[loader][decompress][hostile]") {
    const auto original = sample(60'000);
    std::mt19937 random(5);
    for (const auto& [format, pack] : packers) {
        INFO(name_of(format));
        const auto good = pack(original);
        for (int round = 0; round < 150; ++round) {
            auto bad = good;
            for (int i = 0; i < 3; ++i) bad[random() % bad.size()] ^= static_cast<std::byte>(1 + random() % 255);
            if (random() % 3 == 0) bad.resize(random() % bad.size());
            Blob memory(4 << 20), out(original.size()); // bounded whatever dictionary the header names
            Arena arena(memory);
            const auto result = decompress(format, bad, out, arena);
            if (result && *result == original.size() && (format == Format::xz || format == Format::gzip))
                CHECK(out == original);
        }
    }
}

TEST_CASE("lz4 blocks: lengths at the limits of the encoding", "[loader][decompress]") {
    for (const std::size_t run : {1, 4, 5, 14, 15, 16, 269, 270, 271, 5000}) {
        Blob original = sample(40);
        original.insert(original.end(), run, std::byte{'x'});
        append_text(original, "tail that ends the block");
        Blob out(original.size());
        CHECK(decode_lz4_block(lz4_block(original), out) == original.size());
        CHECK(out == original);
    }
    Blob out(100);
    CHECK(!decode_lz4_block({}, out));
    const std::byte before_start[] = {std::byte{0x10}, std::byte{'a'}, std::byte{2}, std::byte{0}, std::byte{0}};
    CHECK(!decode_lz4_block(before_start, out)); // a match that starts before the output
    const Blob endless(1000, std::byte{0xFF});
    CHECK(!decode_lz4_block(endless, out));
}

TEST_CASE("the installed kernel", "[loader][decompress][boot]") {
    std::filesystem::path newest;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/boot", ignored))
        if (entry.path().filename().string().starts_with("vmlinuz-")) newest = std::max(newest, entry.path());
    std::ifstream stream(newest, std::ios::binary);
    if (newest.empty() || !stream) {
        WARN("no /boot/vmlinuz-*: skipped");
        return;
    }
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    Blob file;
    append_text(file, text);
    const auto payload = find_payload(file);
    REQUIRE(payload);
    const auto image = unpack(*payload);
    REQUIRE(image);
    CHECK(image->size() == payload->decompressed_size);
    const auto kernel = read_pv_kernel(*image, StartAs::dom0);
    REQUIRE(kernel);
    CHECK(kernel->notes.guest_os == "linux");
    CHECK(kernel->virt_base == 0xffffffff80000000);
    CHECK(kernel->notes.mod_start_pfn);
    CHECK(kernel->notes.unknown_required_count == 0);
}
