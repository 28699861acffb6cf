// SPDX-License-Identifier: GPL-2.0-only

// What the packaged decoders need of a C library inside the hypervisor, and small replacements for
// the archive members that would cost more bytes than they are worth. Only part of decoders.o (see
// decoders.mk); hosted programs use the shared libraries as they are.

#include <cstdint>

extern "C" {

// The decoders get their memory through the allocators decompress() hands them, all from its arena.
// Whatever asks here regardless is told that there is none, and reports that as an error.
[[gnu::used]] void* malloc(std::size_t) { return nullptr; }
[[gnu::used]] void* calloc(std::size_t, std::size_t) { return nullptr; }
[[gnu::used]] void free(void*) {}

[[noreturn, gnu::used]] void __stack_chk_fail() { __builtin_trap(); }

// Checks. The libraries' own tables are 28 KiB that don't compress; made at run time they cost nothing.

std::uint32_t lzma_crc32(const std::uint8_t* data, std::size_t size, std::uint32_t crc);
std::uint64_t lzma_crc64(const std::uint8_t* data, std::size_t size, std::uint64_t crc);
unsigned long crc32(unsigned long crc, const unsigned char* data, unsigned size);
unsigned long adler32(unsigned long adler, const unsigned char* data, unsigned size);
void lzma_sha256_init(std::uint64_t* state);
void lzma_sha256_update(const std::uint8_t* data, std::size_t size, std::uint64_t* state);
void lzma_sha256_finish(std::uint64_t* state);

} // extern "C"

namespace {

constexpr std::uint32_t crc32_polynomial = 0xEDB88320;         // IEEE 802.3, reflected
constexpr std::uint64_t crc64_polynomial = 0xC96C5795D7870F42; // ECMA-182, reflected

template <class Word, unsigned slices> struct CrcTables {
    Word slice[slices][256];

    void fill(Word polynomial) {
        for (unsigned byte = 0; byte < 256; ++byte) {
            Word value = byte;
            for (unsigned bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? polynomial : Word{0});
            slice[0][byte] = value;
        }
        for (unsigned k = 1; k < slices; ++k)
            for (unsigned byte = 0; byte < 256; ++byte)
                slice[k][byte] = (slice[k - 1][byte] >> 8) ^ slice[0][slice[k - 1][byte] & 0xFF];
    }
    bool filled() const { return slice[0][1] != 0; }
};

CrcTables<std::uint32_t, 8> crc32_tables;
CrcTables<std::uint64_t, 1> crc64_tables;

std::uint64_t load64(const std::uint8_t* at) {
    std::uint64_t value;
    __builtin_memcpy(&value, at, sizeof value);
    return value;
}

} // namespace

extern "C" {

std::uint32_t lzma_crc32(const std::uint8_t* data, std::size_t size, std::uint32_t crc) {
    if (!crc32_tables.filled()) crc32_tables.fill(crc32_polynomial);
    const auto& t = crc32_tables.slice;
    crc = ~crc;
    for (; size >= 8; size -= 8, data += 8) {
        const std::uint64_t w = load64(data) ^ crc;
        crc = t[7][w & 0xFF] ^ t[6][w >> 8 & 0xFF] ^ t[5][w >> 16 & 0xFF] ^ t[4][w >> 24 & 0xFF] ^
              t[3][w >> 32 & 0xFF] ^ t[2][w >> 40 & 0xFF] ^ t[1][w >> 48 & 0xFF] ^ t[0][w >> 56];
    }
    for (; size != 0; --size) crc = (crc >> 8) ^ t[0][(crc ^ *data++) & 0xFF];
    return ~crc;
}

std::uint64_t lzma_crc64(const std::uint8_t* data, std::size_t size, std::uint64_t crc) {
    if (!crc64_tables.filled()) crc64_tables.fill(crc64_polynomial);
    crc = ~crc;
    for (; size != 0; --size) crc = (crc >> 8) ^ crc64_tables.slice[0][(crc ^ *data++) & 0xFF];
    return ~crc;
}

unsigned long crc32(unsigned long crc, const unsigned char* data, unsigned size) {
    return data == nullptr ? 0 : lzma_crc32(data, size, static_cast<std::uint32_t>(crc));
}

/// zlib's takes sixteen bytes at a time, which is 900 bytes more. (RFC 1950, 8.2)
unsigned long adler32(unsigned long adler, const unsigned char* data, unsigned size) {
    constexpr unsigned base = 65521;
    unsigned low = adler & 0xFFFF, high = adler >> 16 & 0xFFFF;
    if (data == nullptr) return 1;
    for (; size != 0; --size) {
        low += *data++;
        low -= low >= base ? base : 0;
        high += low;
        high -= high >= base ? base : 0;
    }
    return high << 16 | low;
}

// SHA-256 is 3 KiB that no kernel needs: its own decoder could not check it (decompress() refuses such streams). But
// liblzma also compares the list of block sizes it has seen with the stored one by way of its best check sum. That
// stays inside the library, and a CRC in the first of the eight words does as well.
void lzma_sha256_init(std::uint64_t* state) { __builtin_memset(state, 0, 8 * sizeof *state); }
void lzma_sha256_update(const std::uint8_t* data, std::size_t size, std::uint64_t* state) {
    *state = lzma_crc64(data, size, *state);
}
void lzma_sha256_finish(std::uint64_t*) {}

// xz filters that no x86 kernel is packed with. They are only reached through a table, where this
// answer, LZMA_OPTIONS_ERROR, means that the filter isn't there.
[[gnu::nothrow, gnu::used]] int streak_filter_refused() { return 8; }
#define ABSENT(name) [[gnu::nothrow, gnu::alias("streak_filter_refused")]] int name()
ABSENT(lzma_simple_powerpc_decoder_init);
ABSENT(lzma_simple_ia64_decoder_init);
ABSENT(lzma_simple_arm_decoder_init);
ABSENT(lzma_simple_armthumb_decoder_init);
ABSENT(lzma_simple_arm64_decoder_init);
ABSENT(lzma_simple_sparc_decoder_init);
ABSENT(lzma_delta_decoder_init);
ABSENT(lzma_delta_props_decode);
ABSENT(lzma_delta_coder_memusage);
#undef ABSENT

} // extern "C"
