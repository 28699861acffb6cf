// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/bytes.hpp"
#include "loader/load_error.hpp"

namespace streak::loader {

/// How a kernel image is packed, told by its first bytes.
enum class Format : std::uint8_t { unknown, elf, gzip, xz, zstd, lz4, lzo, lzma, bzip2 };

[[nodiscard]] std::string_view name_of(Format format);
[[nodiscard]] Format detect_format(Bytes data);

/// What is inside a kernel file.
struct KernelPayload {
    Format format;
    Bytes data;                      ///< compressed stream (or the ELF file), without Linux's size word
    std::uint64_t decompressed_size; ///< bytes; as the file announces, bounded by max_kernel_size
};

/// Larger announcements are taken for damage. Debian's largest kernels are below 100 MiB.
inline constexpr std::uint64_t max_kernel_size = 1ull << 30;

/// Finds the payload: of a bzImage (Linux boot protocol 2.08 and later, Documentation/x86/boot.rst),
/// or the file itself when it is an ELF file or an ELF file compressed with gzip. Errors: not_elf,
/// truncated, unknown_compression, corrupt (size).
[[nodiscard]] LoadResult<KernelPayload> find_payload(Bytes file);

} // namespace streak::loader
