// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/abi.hpp"
#include "loader/elf.hpp"

namespace streak::loader {

/// The Xen ELF notes of a kernel (xen/elfnote.h). Strings are views into the file.
struct XenNotes {
    std::string_view guest_os;
    std::string_view guest_version;
    std::string_view xen_version;
    std::string_view loader;

    std::optional<std::uint64_t> entry;
    std::optional<std::uint64_t> hypercall_page;
    std::optional<std::uint64_t> virt_base;
    std::optional<std::uint64_t> paddr_offset;
    std::optional<std::uint64_t> hv_start_low;
    std::optional<std::uint64_t> init_p2m;
    std::optional<std::uint64_t> phys32_entry;
    bool mod_start_pfn = false;
    bool has_supported_features = false; ///< the numeric note was there

    std::uint64_t supported = 0; ///< bits XENFEAT_*, of both notes
    std::uint64_t required = 0;  ///< bits XENFEAT_* written with '!'

    /// Names with '!' that xen/features.h doesn't have; reported, never a reason to refuse.
    std::array<std::string_view, 4> unknown_required{};
    std::size_t unknown_required_count = 0; ///< may exceed what the array holds
};

/// Who is started: dom0 by the hypervisor, or a domU by the tools.
enum class StartAs : std::uint8_t { dom0, dom_u };

/// Where a PV kernel wants to be. All addresses are virtual unless said otherwise.
struct PvStart {
    XenNotes notes;
    std::uint64_t virt_base;    ///< maps pfn 0; 0 without the note
    std::uint64_t paddr_offset; ///< to take off physical addresses of the file
    std::uint64_t entry;        ///< of the note, else of the ELF header
    std::uint64_t virt_start;   ///< first byte of the lowest segment
    std::uint64_t virt_end;     ///< after the last byte of the highest one

    /// The address a segment goes to in the start mapping.
    [[nodiscard]] std::uint64_t address_of(const Segment& segment) const {
        return segment.physical_address - paddr_offset + virt_base;
    }
};

struct PvKernel : PvStart {
    ElfImage image;
};

/// Reads the notes. Errors: no_xen_notes, legacy_notes, bad_note.
[[nodiscard]] LoadResult<XenNotes> read_xen_notes(const ElfImage& image);

/// Reads `file` (uncompressed ELF) as a PV kernel and checks that it can be started: loader and
/// version, dom0 capability, entry and hypercall page inside the image, range free for guests.
[[nodiscard]] LoadResult<PvKernel> read_pv_kernel(Bytes file, StartAs start_as);

/// True when [start, end) is canonical, doesn't wrap and leaves the hypervisor's range alone.
[[nodiscard]] bool guest_range(std::uint64_t start, std::uint64_t end);

} // namespace streak::loader
