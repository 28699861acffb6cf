// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>

#include "loader/bzimage.hpp"
#include "loader_test_elf.hpp"

/// (Include Catch2 first.) Packs kernels as Linux' build does, for the tests of those who unpack them.
namespace loader_test {

inline std::uint8_t* raw(Blob& blob) { return reinterpret_cast<std::uint8_t*>(blob.data()); }
inline const std::uint8_t* raw(const Blob& blob) { return reinterpret_cast<const std::uint8_t*>(blob.data()); }

inline Blob gzip(const Blob& in) {
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

inline Blob xz_with(const Blob& in, lzma_check check, std::uint32_t dictionary) {
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

inline Blob xz(const Blob& in) { return xz_with(in, LZMA_CHECK_CRC32, 1 << 20); } // as Linux' xz_wrap.sh does

inline Blob zstd(const Blob& in) {
    Blob out(ZSTD_compressBound(in.size()));
    const auto written = ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 19);
    REQUIRE(!ZSTD_isError(written));
    out.resize(written);
    return out;
}

inline Blob lz4_block(streak::loader::Bytes in) {
    Blob out(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(in.size()))));
    const int written =
        LZ4_compress_default(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                             static_cast<int>(in.size()), static_cast<int>(out.size()));
    REQUIRE(written > 0);
    out.resize(static_cast<std::size_t>(written));
    return out;
}

/// `lz4 -l`: the legacy frame, here with small blocks so that there are several.
inline Blob lz4(const Blob& in) {
    Blob out;
    append(out, std::uint32_t{0x184C2102});
    for (std::size_t at = 0; at < in.size(); at += 65536) {
        const auto block =
            lz4_block(streak::loader::Bytes(in).subspan(at, std::min<std::size_t>(65536, in.size() - at)));
        append(out, static_cast<std::uint32_t>(block.size()));
        out.insert(out.end(), block.begin(), block.end());
    }
    return out;
}

inline void append_be(Blob& blob, std::uint32_t value) { append(blob, __builtin_bswap32(value)); }

/// `lzop -9`: flags 0x03000001 (Unix, Adler-32 of the data), 256 KiB blocks.
inline Blob lzo(const Blob& in) {
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
        const auto part = streak::loader::Bytes(in).subspan(at, std::min<std::size_t>(262144, in.size() - at));
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
    streak::loader::Format format;
    Blob (*pack)(const Blob&);
};
inline constexpr Packer packers[] = {{streak::loader::Format::gzip, gzip},
                                     {streak::loader::Format::xz, xz},
                                     {streak::loader::Format::zstd, zstd},
                                     {streak::loader::Format::lz4, lz4},
                                     {streak::loader::Format::lzo, lzo}};

/// A bzImage around a payload, as Linux' build makes it: everything but gzip gets a size word.
inline Blob bzimage(const Blob& payload, streak::loader::Format format, std::uint32_t size) {
    Blob file(5 * 512 + 0x100);
    file[0x1F1] = std::byte{4};
    put(file, 0x1FE, std::uint16_t{0xAA55});
    put(file, 0x202, std::uint32_t{0x53726448});
    put(file, 0x206, std::uint16_t{0x20F});
    put(file, 0x248, std::uint32_t{0x100});
    file.insert(file.end(), payload.begin(), payload.end());
    if (format != streak::loader::Format::gzip) append(file, size);
    put(file, 0x24C, static_cast<std::uint32_t>(file.size() - 5 * 512 - 0x100));
    append_text(file, "the rest of the image");
    return file;
}

} // namespace loader_test
