// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <cstddef>

// Copies of decoders, which are short and overlap: in eights, where there is room behind the last one.

namespace streak::loader {

/// Bytes behind their end that copies may write or read.
inline constexpr std::size_t copy_slack = 16;

/// Copies in eights; up to 7 bytes too many are read and written. `from` is 8 bytes or more before `to`, or elsewhere.
inline void copy_eights(std::byte* to, const std::byte* from, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += 8) __builtin_memcpy(to + at, from + at, 8);
}

/// Repeats what stands `distance` bytes before `to`; up to 15 bytes too many are written when `roomy`.
inline void copy_match(std::byte* to, std::size_t distance, std::size_t bytes, bool roomy) {
    if (roomy && distance >= 8) return copy_eights(to, to - distance, bytes);
    const std::size_t singly = roomy ? std::min<std::size_t>(bytes, 8) : bytes;
    for (std::size_t i = 0; i < singly; ++i) to[i] = (to - distance)[i];
    if (bytes <= singly) return;
    // A multiple of a distance is one as well, as far as bytes repeat already.
    copy_eights(to + 8, to + 8 - (8 + distance - 1) / distance * distance, bytes - 8);
}

} // namespace streak::loader
