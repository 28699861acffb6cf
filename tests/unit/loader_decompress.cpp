// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "loader/decoders.hpp"
#include "loader/decompress.hpp"
#include "loader/elf_notes.hpp"
#include "loader_test_pack.hpp"

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
