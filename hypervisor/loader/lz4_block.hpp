// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/bytes.hpp"

namespace streak::loader {

/// Decodes one LZ4 block (lz4_Block_format.md) into the start of `out`; returns the bytes written,
/// nothing when the block is damaged or doesn't fit. Own code because the packaged archive holds
/// decoder and compressors in one object, which would cost a seventh of the hypervisor's image.
[[nodiscard]] std::optional<std::size_t> decode_lz4_block(Bytes in, std::span<std::byte> out);

} // namespace streak::loader
