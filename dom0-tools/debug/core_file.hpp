// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "debug/page_walk.hpp"
#include "lib/abi.hpp"

// The layout of core files. A head of whole pages comes first, then the guest's pages, each once.

namespace streak::debug {

struct CorePage {
    std::uint64_t frame = 0; ///< machine frame number
    std::uint64_t pfn = 0;   ///< the guest's number for it, as the guest told
};

/// A stopped guest, without the bytes of its pages.
struct CoreImage {
    std::vector<vcpu_guest_context_t> vcpus;
    std::vector<std::byte> shared_info; ///< a page
    std::vector<MappedPage> mapped;     ///< by address
    std::vector<CorePage> pages;        ///< as they follow one another in the file
};

/// The head of an ELF core as gdb reads it: a thread for each vCPU (NT_PRSTATUS), segments at the guest's virtual
/// addresses. Of a page at many addresses the 16 lowest are there (Linux maps one 65 536 times for espfix). ELF has
/// numbers for 65 534 segments: what is above that, at the lowest addresses, is left out.
[[nodiscard]] std::vector<std::byte> gdb_head(const CoreImage& image);

/// The head of a core as `xl dump-core` writes it and crash reads it: sections .xen_prstatus, .xen_p2m, .xen_pages and
/// the like (xen/elfnote.h, XEN_ELFNOTE_DUMPCORE_*).
[[nodiscard]] std::vector<std::byte> crash_head(const CoreImage& image);

} // namespace streak::debug
