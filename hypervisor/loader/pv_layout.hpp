// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "loader/elf_notes.hpp"

namespace streak::loader {

/// What a PV domain is to be started with, besides its kernel.
struct LayoutRequest {
    StartAs start_as = StartAs::dom_u;
    std::uint64_t nr_pages = 0;     ///< frames the domain has; pfns 0 .. nr_pages - 1
    std::uint64_t initrd_bytes = 0; ///< 0: none
};

/// A run of frames and, when it is mapped at start, its address.
struct Region {
    std::uint64_t address = 0; ///< 0 when not mapped or absent
    Pfn pfn{};
    std::uint64_t pages = 0;

    [[nodiscard]] bool present() const { return pages != 0; }
    [[nodiscard]] std::uint64_t end() const { return address + pages * page_size; }
};

/// Frames of page tables, by level.
struct TableCount {
    std::uint64_t l1 = 0, l2 = 0, l3 = 0, l4 = 0;

    [[nodiscard]] std::uint64_t total() const { return l1 + l2 + l3 + l4; }
    friend bool operator==(const TableCount&, const TableCount&) = default;
};

/// Start-of-day memory layout (xen/xen.h, "startofday"). The start mapping is 1:1: the address of
/// every pfn below start_pages() is virt_base + pfn * 4 KiB, all writable but the page tables.
struct PvLayout {
    std::uint64_t virt_base = 0;
    std::uint64_t virt_end = 0; ///< multiple of 4 MiB, at least 512 KiB after the stack
    std::uint64_t entry = 0;
    std::uint64_t stack_top = 0; ///< rsp at entry

    Region kernel;
    Region initrd; ///< unmapped when the kernel has MOD_START_PFN
    Region p2m;    ///< nr_pages entries; at INIT_P2M, outside the start mapping, when it has that
    Region start_info;
    Region store;       ///< domU only
    Region console;     ///< domU only
    Region page_tables; ///< nr_pt_frames of start_info; the first one is the L4
    Region stack;       ///< one page
    Region p2m_tables;  ///< more tables, for INIT_P2M; unmapped, their pfns follow those of the p2m

    TableCount tables;     ///< how `page_tables` splits
    TableCount p2m_levels; ///< how `p2m_tables` splits

    std::uint64_t mod_start = 0; ///< for start_info: address, or pfn when initrd_by_pfn
    bool initrd_by_pfn = false;  ///< SIF_MOD_START_PFN
    Pfn first_p2m_pfn{};         ///< for start_info; 0 unless the p2m is at INIT_P2M
    std::uint64_t nr_p2m_frames = 0;
    std::uint64_t used_pages = 0; ///< frames up to the last one spoken for

    [[nodiscard]] std::uint64_t start_pages() const { return (virt_end - virt_base) / page_size; }
    [[nodiscard]] std::uint64_t address_of(Pfn pfn) const { return virt_base + pfn.raw() * page_size; }
};

/// Tables needed to map [start, end) with 4 KiB pages under one L4.
[[nodiscard]] TableCount count_tables(std::uint64_t start, std::uint64_t end);

/// Tables that [start, end) needs besides those [other_start, other_end) has already.
[[nodiscard]] TableCount count_more_tables(std::uint64_t start, std::uint64_t end, std::uint64_t other_start,
                                           std::uint64_t other_end);

/// Calculates the layout. Errors: not_enough_memory (pages needed, pages there), address_range.
[[nodiscard]] LoadResult<PvLayout> plan_layout(const PvStart& kernel, const LayoutRequest& request);

} // namespace streak::loader
