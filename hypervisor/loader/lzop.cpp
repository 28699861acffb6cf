// SPDX-License-Identifier: GPL-2.0-only
#include "loader/decoders.hpp"

#include <lzo/lzo1x.h>
#include <zlib.h>

namespace streak::loader {

namespace {

// Flags of the lzop header; all numbers in the file are big endian.
constexpr std::uint32_t flag_adler32_data = 0x1, flag_adler32_packed = 0x2, flag_extra_field = 0x40,
                        flag_crc32_data = 0x100, flag_crc32_packed = 0x200, flag_filter = 0x800;
constexpr std::uint16_t first_version_with_level = 0x0940;
constexpr std::uint32_t largest_block = 64u << 20;
constexpr std::size_t magic_bytes = 9;

/// Reads big-endian numbers front to back; once it has run out it only gives zeros and says so.
class Reader {
public:
    explicit Reader(Bytes data, std::uint64_t at) : data_(data), at_(at) {}

    template <class T> T number() {
        const auto value = read_at<T>(data_, at_);
        at_ += sizeof(T);
        failed_ = failed_ || !value;
        if constexpr (sizeof(T) == 1) return value.value_or(0);
        else if constexpr (sizeof(T) == 2) return __builtin_bswap16(value.value_or(0));
        else return __builtin_bswap32(value.value_or(0));
    }
    Bytes block(std::uint64_t bytes) {
        const auto found = slice(data_, at_, bytes);
        at_ += bytes;
        failed_ = failed_ || !found;
        return found.value_or(Bytes{});
    }
    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] std::uint64_t at() const { return at_; }

private:
    Bytes data_;
    std::uint64_t at_;
    bool failed_ = false;
};

/// Leaves the reader at the first block; returns the flags.
std::uint32_t read_header(Reader& reader) {
    const auto version = reader.number<std::uint16_t>();
    reader.number<std::uint16_t>(); // version of the library
    const bool newer = version >= first_version_with_level;
    if (newer) reader.number<std::uint16_t>(); // version needed to extract
    reader.number<std::uint8_t>();             // method: 1, 2 and 3 are all LZO1X
    if (newer) reader.number<std::uint8_t>();  // level
    const auto flags = reader.number<std::uint32_t>();
    if ((flags & flag_filter) != 0) reader.number<std::uint32_t>();
    reader.number<std::uint32_t>();              // mode
    reader.number<std::uint32_t>();              // time
    if (newer) reader.number<std::uint32_t>();   // time, upper half
    reader.block(reader.number<std::uint8_t>()); // file name
    reader.number<std::uint32_t>();              // check sum of the header
    if ((flags & flag_extra_field) != 0) {
        reader.block(reader.number<std::uint32_t>());
        reader.number<std::uint32_t>();
    }
    return flags;
}

bool unpack(Bytes block, std::span<std::byte> out) {
    if (block.size() == out.size()) { // stored
        std::copy(block.begin(), block.end(), out.begin());
        return true;
    }
    lzo_uint written = out.size();
    const int result = lzo1x_decompress_safe(reinterpret_cast<const unsigned char*>(block.data()), block.size(),
                                             reinterpret_cast<unsigned char*>(out.data()), &written, nullptr);
    return result == LZO_E_OK && written == out.size();
}

} // namespace

LoadResult<std::size_t> decompress_lzop(Bytes in, std::span<std::byte> out) {
    Reader reader(in, magic_bytes);
    const auto flags = read_header(reader);
    std::size_t written = 0;
    while (true) {
        const auto size = reader.number<std::uint32_t>();
        if (reader.failed()) return refuse(LoadErrc::truncated, "lzop", reader.at(), in.size());
        if (size == 0) return written;
        const auto packed_size = reader.number<std::uint32_t>();
        const auto adler = (flags & flag_adler32_data) != 0 ? reader.number<std::uint32_t>() : 0;
        if ((flags & flag_crc32_data) != 0) reader.number<std::uint32_t>();
        if (packed_size < size) { // stored blocks carry no sums of the packed data
            if ((flags & flag_adler32_packed) != 0) reader.number<std::uint32_t>();
            if ((flags & flag_crc32_packed) != 0) reader.number<std::uint32_t>();
        }
        const auto block = reader.block(packed_size);
        if (reader.failed()) return refuse(LoadErrc::truncated, "lzop block", reader.at(), in.size());
        if (packed_size > size || size > largest_block)
            return refuse(LoadErrc::corrupt, "lzop block size", largest_block, size);
        if (size > out.size() - written) return refuse(LoadErrc::output_too_small, "lzop", out.size(), written + size);
        const auto target = out.subspan(written, size);
        if (!unpack(block, target)) return refuse(LoadErrc::corrupt, "lzop block", size, written);
        const auto sum = adler32(1, reinterpret_cast<const Bytef*>(target.data()), size);
        if ((flags & flag_adler32_data) != 0 && sum != adler)
            return refuse(LoadErrc::corrupt, "lzop check sum", adler, sum);
        written += size;
    }
}

} // namespace streak::loader
