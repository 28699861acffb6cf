// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/arena.hpp"
#include "loader/bytes.hpp"
#include "loader/load_error.hpp"

// The formats that decompress.cpp has no library call for.

namespace streak::loader {

/// Decodes one LZ4 block (lz4_Block_format.md) into the start of `out`; returns the bytes written,
/// nothing when the block is damaged or doesn't fit. Own code because the packaged archive holds
/// decoder and compressors in one object, which would cost a seventh of the hypervisor's image.
[[nodiscard]] std::optional<std::size_t> decode_lz4_block(Bytes in, std::span<std::byte> out);

/// Decodes an lzop file (the format of `lzop -9`, which Linux' build uses): header, then blocks with
/// their sizes and check sums, ended by a size of 0. Adler-32 sums of the decoded data are checked.
[[nodiscard]] LoadResult<std::size_t> decompress_lzop(Bytes in, std::span<std::byte> out);

/// Decodes the Zstandard frames at the start of `in` (RFC 8878; skippable ones are passed over) into `out`, which
/// is the window as well; returns the bytes written. Whatever follows the last frame is ignored. Errors: corrupt (check sums included),
/// truncated, output_too_small, arena_too_small (150 KiB are enough),
/// unsupported_compression (a dictionary).
[[nodiscard]] LoadResult<std::size_t> decompress_zstd(Bytes in, std::span<std::byte> out, Arena& arena);

} // namespace streak::loader
