// SPDX-License-Identifier: GPL-2.0-only
#include "loader/decompress.hpp"

#include <lzma.h>
#include <zlib.h>

#include "loader/decoders.hpp"

namespace streak::loader {

namespace {

using Out = std::span<std::byte>;

const std::uint8_t* raw(Bytes bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }
std::uint8_t* raw(Out bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }

std::unexpected<LoadError> arena_error(std::string_view item, const Arena& arena) {
    return refuse(LoadErrc::arena_too_small, item, arena.size(), arena.used() + arena.refused());
}

// --- xz ------------------------------------------------------------------------------------------

void* xz_allocate(void* arena, std::size_t count, std::size_t size) {
    return static_cast<Arena*>(arena)->take(count * size); // liblzma always passes count = 1
}

void xz_free(void*, void*) {}

LoadResult<std::size_t> decompress_xz(Bytes in, Out out, Arena& arena) {
#if !__STDC_HOSTED__                      // decoder_shims.cpp
    constexpr std::uint64_t check_at = 7; // the second of the stream's flags (xz-file-format.txt 2.1.1.2)
    if (read_at<std::uint8_t>(in, check_at) == LZMA_CHECK_SHA256)
        return refuse(LoadErrc::unsupported_compression, "xz check", LZMA_CHECK_CRC64, LZMA_CHECK_SHA256);
#endif
    const lzma_allocator allocator{xz_allocate, xz_free, &arena};
    std::uint64_t memory_limit = ~0ull; // the arena is the limit
    std::size_t consumed = 0, written = 0;
    const auto result = lzma_stream_buffer_decode(&memory_limit, 0, &allocator, raw(in), &consumed, in.size(), raw(out),
                                                  &written, out.size());
    switch (result) {
    case LZMA_OK: return written;
    case LZMA_MEM_ERROR: return arena_error("xz", arena);
    case LZMA_BUF_ERROR: return refuse(LoadErrc::output_too_small, "xz", out.size(), out.size() + 1);
    case LZMA_OPTIONS_ERROR: return refuse(LoadErrc::unsupported_compression, "xz filter", LZMA_OK, result);
    default: return refuse(LoadErrc::corrupt, "xz", LZMA_OK, result);
    }
}

/// The dictionary size that the first block header of an xz file asks for (xz-file-format.txt 3.1,
/// 5.3.1), or 0.
std::uint64_t xz_dictionary(Bytes in) {
    constexpr std::uint64_t stream_header = 12;
    constexpr std::uint8_t filter_lzma2 = 0x21, property_bytes = 1, largest_property = 40;
    const auto words = read_at<std::uint8_t>(in, stream_header).value_or(0);
    const auto header = slice(in, stream_header, (words + 1u) * 4u).value_or(Bytes{});
    // LZMA2 is always the last filter: its id, the size of its properties, and the property byte.
    // Only padding zeros and the CRC follow, so the last match in front of them is the one.
    for (std::size_t at = header.size() < 7 ? 0 : header.size() - 7; at >= 2; --at) {
        const auto property = read_at<std::uint8_t>(header, at + 2).value_or(0xFF);
        if (read_at<std::uint8_t>(header, at) == filter_lzma2 &&
            read_at<std::uint8_t>(header, at + 1) == property_bytes && property <= largest_property)
            return property == largest_property ? 0xFFFFFFFF : (2ull | (property & 1)) << (property / 2 + 11);
    }
    return 0;
}

// --- gzip ----------------------------------------------------------------------------------------

voidpf gzip_allocate(voidpf arena, uInt count, uInt size) {
    return static_cast<Arena*>(arena)->take(std::size_t{count} * size);
}

void gzip_free(voidpf, voidpf) {}

LoadResult<std::size_t> decompress_gzip(Bytes in, Out out, Arena& arena) {
    constexpr std::size_t most = 0xFFFFFFFF; // zlib counts in 32 bits
    z_stream stream{};
    stream.zalloc = gzip_allocate;
    stream.zfree = gzip_free;
    stream.opaque = &arena;
    stream.next_in = const_cast<Bytef*>(raw(in)); // zlib doesn't write there; its type is older than const
    stream.avail_in = static_cast<uInt>(std::min(in.size(), most));
    stream.next_out = raw(out);
    stream.avail_out = static_cast<uInt>(std::min(out.size(), most));
    constexpr int gzip_window = 16 + MAX_WBITS; // 16: expect the gzip wrapper, check its CRC
    if (inflateInit2(&stream, gzip_window) != Z_OK) return arena_error("gzip", arena);
    const int result = inflate(&stream, Z_FINISH);
    const std::size_t written = stream.total_out;
    const bool full = stream.avail_out == 0;
    inflateEnd(&stream);
    switch (result) {
    case Z_STREAM_END: return written;
    case Z_MEM_ERROR: return arena_error("gzip", arena);
    case Z_BUF_ERROR:
    case Z_OK:
        if (full) return refuse(LoadErrc::output_too_small, "gzip", out.size(), out.size() + 1);
        return refuse(LoadErrc::truncated, "gzip", in.size() + 1, in.size());
    default: return refuse(LoadErrc::corrupt, "gzip", Z_STREAM_END, static_cast<std::uint64_t>(-result));
    }
}

// --- lz4 -----------------------------------------------------------------------------------------

/// The legacy frame (lz4_Frame_format.md): magic, then blocks of up to 8 MiB behind their sizes.
LoadResult<std::size_t> decompress_lz4(Bytes in, Out out) {
    constexpr std::uint64_t magic_bytes = 4;
    constexpr std::uint32_t legacy_magic = 0x184C2102;
    std::size_t written = 0;
    for (std::uint64_t at = magic_bytes; at < in.size();) {
        const auto size = read_at<std::uint32_t>(in, at);
        if (!size) return refuse(LoadErrc::truncated, "lz4 block size", at + sizeof(std::uint32_t), in.size());
        at += sizeof(std::uint32_t);
        if (*size == legacy_magic) // concatenated frames
            continue;
        const auto block = slice(in, at, *size);
        if (!block) return refuse(LoadErrc::truncated, "lz4 block", at + *size, in.size());
        const auto decoded = decode_lz4_block(*block, out.subspan(written));
        if (!decoded) return refuse(LoadErrc::corrupt, "lz4 block", out.size(), written);
        written += *decoded;
        at += *size;
    }
    return written;
}

} // namespace

std::uint64_t work_space(Format format, Bytes in) {
    return decoder_base_space + (format == Format::xz ? xz_dictionary(in) : 0);
}

LoadResult<std::size_t> decompress(Format format, Bytes in, Out out, Arena& arena) {
    switch (format) {
    case Format::elf:
        if (in.size() > out.size()) return refuse(LoadErrc::output_too_small, "ELF", out.size(), in.size());
        std::copy(in.begin(), in.end(), out.begin());
        return in.size();
    case Format::xz: return decompress_xz(in, out, arena);
    case Format::gzip: return decompress_gzip(in, out, arena);
    case Format::zstd: return decompress_zstd(in, out, arena);
    case Format::lz4: return decompress_lz4(in, out);
    case Format::lzo: return decompress_lzop(in, out);
    case Format::lzma:
    case Format::bzip2:
    case Format::unknown: break;
    }
    return refuse_text(LoadErrc::unsupported_compression, "payload", "gzip, xz, zstd, lz4 or lzo", name_of(format));
}

} // namespace streak::loader
