// SPDX-License-Identifier: GPL-2.0-only
#include "loader/bzimage.hpp"

namespace streak::loader {

namespace {

// Linux setup header (Documentation/x86/boot.rst): offsets in the file.
constexpr std::uint64_t setup_sects_at = 0x1F1, boot_flag_at = 0x1FE, header_magic_at = 0x202, version_at = 0x206,
                        payload_offset_at = 0x248, payload_length_at = 0x24C;
constexpr std::uint32_t header_magic = 0x53726448; // "HdrS"
constexpr std::uint16_t boot_flag = 0xAA55;
constexpr std::uint16_t first_version_with_payload = 0x208;
constexpr std::uint64_t sector = 512;
constexpr std::uint64_t size_word = 4; // bytes, little endian, after every payload but gzip's own

struct Known {
    Format format;
    std::string_view name, magic;
};
using namespace std::string_view_literals;
constexpr Known known[] = {{Format::elf, "ELF", "\x7F\x45LF"},
                           {Format::gzip, "gzip", "\x1F\x8B"},
                           {Format::xz, "xz", "\xFD\x37zXZ\0"sv},
                           {Format::zstd, "zstd", "\x28\xB5\x2F\xFD"},
                           {Format::lz4, "lz4", "\x02\x21\x4C\x18"}, // legacy frame
                           {Format::lzo, "lzo", "\x89LZO\0\r\n\x1A\n"sv},
                           {Format::lzma, "lzma", "\x5D\0\0"sv},
                           {Format::bzip2, "bzip2", "BZh"}};

bool is_bzimage(Bytes file) {
    return read_at<std::uint16_t>(file, boot_flag_at) == boot_flag &&
           read_at<std::uint32_t>(file, header_magic_at) == header_magic;
}

LoadResult<Bytes> bzimage_payload(Bytes file) {
    const auto version = read_at<std::uint16_t>(file, version_at).value_or(0);
    if (version < first_version_with_payload)
        return refuse(LoadErrc::not_elf, "boot protocol", first_version_with_payload, version);
    const auto offset = read_at<std::uint32_t>(file, payload_offset_at);
    const auto length = read_at<std::uint32_t>(file, payload_length_at);
    if (!offset || !length) return refuse(LoadErrc::truncated, "setup header", payload_length_at + 4, file.size());
    const auto stored_sectors = read_at<std::uint8_t>(file, setup_sects_at).value_or(0);
    const std::uint64_t sectors = stored_sectors == 0 ? 4 : stored_sectors;
    const std::uint64_t start = (sectors + 1) * sector + *offset;
    const auto payload = slice(file, start, *length);
    if (!payload) return refuse(LoadErrc::truncated, "payload", start + *length, file.size());
    return *payload;
}

LoadResult<KernelPayload> with_size(Format format, Bytes data) {
    if (format == Format::unknown)
        return refuse(LoadErrc::unknown_compression, "payload", 0, read_at<std::uint32_t>(data, 0).value_or(0));
    if (format == Format::elf) return KernelPayload{format, data, data.size()};
    if (data.size() <= size_word) return refuse(LoadErrc::truncated, "payload", size_word + 1, data.size());
    const std::uint64_t size = *read_at<std::uint32_t>(data, data.size() - size_word);
    if (size == 0 || size > max_kernel_size)
        return refuse(LoadErrc::corrupt, "decompressed size", max_kernel_size, size);
    if (format != Format::gzip) // gzip's last word is its own
        data = data.first(data.size() - size_word);
    return KernelPayload{format, data, size};
}

} // namespace

std::string_view name_of(Format format) {
    const auto* const found = std::ranges::find(known, format, &Known::format);
    return found != std::end(known) ? found->name : "unknown";
}

Format detect_format(Bytes data) {
    for (const Known& each : known) {
        const auto start = slice(data, 0, each.magic.size());
        if (start && std::string_view(reinterpret_cast<const char*>(start->data()), start->size()) == each.magic)
            return each.format;
    }
    return Format::unknown;
}

LoadResult<KernelPayload> find_payload(Bytes file) {
    if (is_bzimage(file)) {
        TRY_ASSIGN(payload, bzimage_payload(file));
        return with_size(detect_format(payload), payload);
    }
    const auto format = detect_format(file);
    // Bare files: a kernel hook writes LZ4 with the size behind it, as a kernel's build does.
    if (format == Format::elf || format == Format::gzip || format == Format::lz4) return with_size(format, file);
    return refuse(LoadErrc::not_elf, "file", 0x464C457F, read_at<std::uint32_t>(file, 0).value_or(0));
}

} // namespace streak::loader
