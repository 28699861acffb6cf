// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <expected>
#include <string_view>

namespace streak::loader {

enum class LoadErrc : std::uint8_t {
    truncated,               ///< the file ends before the item does: bytes needed, bytes there
    not_elf,                 ///< neither ELF nor bzImage
    wrong_elf_kind,          ///< not ELF64, little endian, x86-64, executable
    bad_segment,             ///< a program header that contradicts itself
    no_segments,             ///< nothing to load
    no_xen_notes,            ///< no Xen ELF notes: not a kernel for PV
    legacy_notes,            ///< only the __xen_guest section of before 2007
    bad_note,                ///< a note of the wrong size
    wrong_note,              ///< a note whose value can't be served
    not_dom0_capable,        ///< SUPPORTED_FEATURES is there and lacks `dom0`
    outside_image,           ///< an address outside the kernel's own range
    address_range,           ///< a virtual range that overlaps the hypervisor's or wraps around
    unknown_compression,     ///< payload of no known format
    unsupported_compression, ///< known format for which there is no decoder
    corrupt,                 ///< the decoder, or a check sum, refused the data
    output_too_small,        ///< decoded data is longer than announced: room, size
    arena_too_small,         ///< the decoder needs more work space: room, size
    not_enough_memory,       ///< the domain has fewer pages than its start layout needs: pages, pages
    bad_boot_info,           ///< boot loader's information is damaged
    bad_checksum,            ///< a firmware table's bytes don't sum up to zero
    not_found,               ///< a firmware table isn't there
    bad_table,               ///< a firmware table contradicts itself
};

/// Why something was refused, with what was expected and what was found: as text where there is
/// text (views into the input or literals), as numbers otherwise. The caller prints it.
struct LoadError {
    LoadErrc code{};
    std::string_view item{}; ///< which item it is about, e.g. "program header" or "VIRT_BASE"
    std::uint64_t expected = 0;
    std::uint64_t found = 0;
    std::string_view expected_text{};
    std::string_view found_text{};
};

template <class T = void> using LoadResult = std::expected<T, LoadError>;

[[nodiscard]] constexpr std::unexpected<LoadError> refuse(LoadErrc code, std::string_view item,
                                                          std::uint64_t expected = 0, std::uint64_t found = 0) {
    return std::unexpected(LoadError{code, item, expected, found, {}, {}});
}

[[nodiscard]] constexpr std::unexpected<LoadError> refuse_text(LoadErrc code, std::string_view item,
                                                               std::string_view expected, std::string_view found) {
    return std::unexpected(LoadError{code, item, 0, 0, expected, found});
}

/// One sentence for `code`, without the values.
[[nodiscard]] std::string_view describe(LoadErrc code);

} // namespace streak::loader
