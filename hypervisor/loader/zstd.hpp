// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/arena.hpp"
#include "loader/bytes.hpp"
#include "loader/load_error.hpp"

namespace streak::loader {

/// Decodes the Zstandard frames at the start of `in` (RFC 8878; skippable ones are passed over) into `out`, which
/// is the window as well; returns the bytes written. Whatever follows the last frame is ignored. Errors: corrupt (check sums included),
/// truncated, output_too_small, arena_too_small (150 KiB are enough),
/// unsupported_compression (a dictionary).
[[nodiscard]] LoadResult<std::size_t> decompress_zstd(Bytes in, std::span<std::byte> out, Arena& arena);

} // namespace streak::loader
