// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/arena.hpp"
#include "loader/bzimage.hpp"

namespace streak::loader {

// The decoders are Debian's zlib, liblzma, libzstd and liblzo2: shared libraries in hosted programs,
// decoders.o (see decoders.mk) in the hypervisor. There they are compiled as for any program, so for
// the time of decompress() the caller must
//   * set the FS base to a readable block of `decoder_fs_block_bytes` bytes (the archives were built
//     with the stack protector, which compares the word at %fs:0x28 on entry and exit),
//   * let SSE be used: CR0.EM = CR0.TS = 0, CR0.MP = 1, CR4.OSFXSR = CR4.OSXMMEXCPT = 1,
//   * have 16 KiB of stack left, and
//   * not have given the .init sections back yet.
inline constexpr std::size_t decoder_fs_block_bytes = 0x30;

/// Work space, bytes, that is always enough besides what work_space() finds in the stream.
inline constexpr std::size_t decoder_base_space = 512 * 1024;

/// Bytes of arena decompress() needs for this stream: the base, and for xz the dictionary its
/// header names. Never an error; a damaged header is decompress()'s to report.
[[nodiscard]] std::uint64_t work_space(Format format, Bytes in);

/// Decompresses the one stream in `in` (as find_payload() gives it) into `out`; returns the bytes
/// written. Bytes after the end of the stream are ignored. Errors: unsupported_compression, corrupt,
/// output_too_small, arena_too_small.
[[nodiscard]] LoadResult<std::size_t> decompress(Format format, Bytes in, std::span<std::byte> out, Arena& arena);

} // namespace streak::loader
