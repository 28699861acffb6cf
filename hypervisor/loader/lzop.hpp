// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/bytes.hpp"
#include "loader/load_error.hpp"

namespace streak::loader {

/// Decodes an lzop file (the format of `lzop -9`, which Linux' build uses): header, then blocks with
/// their sizes and check sums, ended by a size of 0. Adler-32 sums of the decoded data are checked.
[[nodiscard]] LoadResult<std::size_t> decompress_lzop(Bytes in, std::span<std::byte> out);

} // namespace streak::loader
