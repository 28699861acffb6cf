// SPDX-License-Identifier: GPL-2.0-only
#include "loader/elf_notes.hpp"

#include "lib/ids.hpp"

namespace streak::loader {

namespace {

/// By number, XENFEAT_*.
constexpr std::string_view feature_names[] = {"writable_page_tables",
                                              "writable_descriptor_tables",
                                              "auto_translated_physmap",
                                              "supervisor_mode_kernel",
                                              "pae_pgdir_above_4gb",
                                              "mmu_pt_update_preserve_ad",
                                              "highmem_assist",
                                              "gnttab_map_avail_bits",
                                              "hvm_callback_vector",
                                              "hvm_safe_pvclock",
                                              "hvm_pirqs",
                                              "dom0",
                                              "",
                                              "memory_op_vnode_supported",
                                              "ARM_SMCCC_supported",
                                              "linux_rsdp_unrestricted",
                                              "not_direct_mapped",
                                              "direct_mapped"};
static_assert(feature_names[XENFEAT_writable_page_tables] == "writable_page_tables" &&
              feature_names[XENFEAT_gnttab_map_avail_bits] == "gnttab_map_avail_bits" &&
              feature_names[XENFEAT_dom0] == "dom0" && feature_names[XENFEAT_direct_mapped] == "direct_mapped");

void read_feature(std::string_view word, XenNotes& notes) {
    const bool required = word.starts_with('!');
    if (required) word.remove_prefix(1);
    const auto* const known = std::ranges::find(feature_names, word);
    if (known != std::end(feature_names) && !word.empty()) {
        const std::uint64_t bit = 1ull << (known - feature_names);
        notes.supported |= bit;
        if (required) notes.required |= bit;
        return;
    }
    if (!required || word.empty()) return;
    if (notes.unknown_required_count < notes.unknown_required.size())
        notes.unknown_required[notes.unknown_required_count] = word;
    ++notes.unknown_required_count;
}

void read_features(std::string_view list, XenNotes& notes) {
    while (!list.empty()) {
        const auto bar = std::min(list.find('|'), list.size());
        read_feature(list.substr(0, bar), notes);
        list.remove_prefix(std::min(bar + 1, list.size()));
    }
}

LoadResult<std::uint64_t> number(const ElfNote& note, std::string_view item) {
    if (note.description.size() == 8) return read_at<std::uint64_t>(note.description, 0).value_or(0);
    if (note.description.size() == 4) return read_at<std::uint32_t>(note.description, 0).value_or(0);
    return refuse(LoadErrc::bad_note, item, 8, note.description.size());
}

/// Text of a note: up to its NUL, or all of it, for Linux writes FEATURES without one.
std::string_view text(const ElfNote& note) {
    const std::string_view all(reinterpret_cast<const char*>(note.description.data()), note.description.size());
    return all.substr(0, all.find('\0'));
}

/// Stores the number of a note into `to` (an optional or a flag).
template <class To> LoadResult<> take_number(const ElfNote& note, std::string_view item, To& to) {
    TRY_ASSIGN(value, number(note, item));
    if constexpr (std::is_same_v<To, bool>) to = value != 0;
    else to = value;
    return {};
}

LoadResult<> take_note(const ElfNote& note, XenNotes& notes) {
    switch (note.type) {
    case XEN_ELFNOTE_ENTRY: return take_number(note, "ENTRY", notes.entry);
    case XEN_ELFNOTE_HYPERCALL_PAGE: return take_number(note, "HYPERCALL_PAGE", notes.hypercall_page);
    case XEN_ELFNOTE_VIRT_BASE: return take_number(note, "VIRT_BASE", notes.virt_base);
    case XEN_ELFNOTE_PADDR_OFFSET: return take_number(note, "PADDR_OFFSET", notes.paddr_offset);
    case XEN_ELFNOTE_HV_START_LOW: return take_number(note, "HV_START_LOW", notes.hv_start_low);
    case XEN_ELFNOTE_INIT_P2M: return take_number(note, "INIT_P2M", notes.init_p2m);
    case XEN_ELFNOTE_PHYS32_ENTRY: return take_number(note, "PHYS32_ENTRY", notes.phys32_entry);
    case XEN_ELFNOTE_MOD_START_PFN: return take_number(note, "MOD_START_PFN", notes.mod_start_pfn);
    case XEN_ELFNOTE_XEN_VERSION: notes.xen_version = text(note); return {};
    case XEN_ELFNOTE_GUEST_OS: notes.guest_os = text(note); return {};
    case XEN_ELFNOTE_GUEST_VERSION: notes.guest_version = text(note); return {};
    case XEN_ELFNOTE_LOADER: notes.loader = text(note); return {};
    case XEN_ELFNOTE_FEATURES: read_features(text(note), notes); return {};
    case XEN_ELFNOTE_SUPPORTED_FEATURES: {
        TRY_ASSIGN(bits, number(note, "SUPPORTED_FEATURES"));
        notes.supported |= bits;
        notes.has_supported_features = true;
        return {};
    }
    default: return {}; // newer notes, and those that say nothing to a 64-bit PV guest, are none of our business
    }
}

LoadResult<> check_values(const XenNotes& notes, StartAs start_as) {
    if (!notes.loader.empty() && notes.loader != "generic")
        return refuse_text(LoadErrc::wrong_note, "LOADER", "generic", notes.loader);
    if (!notes.xen_version.empty() && notes.xen_version != "xen-3.0")
        return refuse_text(LoadErrc::wrong_note, "XEN_VERSION", "xen-3.0", notes.xen_version);
    if (notes.hv_start_low && *notes.hv_start_low > HYPERVISOR_VIRT_START)
        return refuse(LoadErrc::wrong_note, "HV_START_LOW", HYPERVISOR_VIRT_START, *notes.hv_start_low);
    constexpr std::uint64_t not_for_pv = 1ull << XENFEAT_auto_translated_physmap |
                                         1ull << XENFEAT_supervisor_mode_kernel | 1ull << XENFEAT_hvm_callback_vector;
    if ((notes.required & not_for_pv) != 0)
        return refuse(LoadErrc::wrong_note, "FEATURES", notes.required & ~not_for_pv, notes.required);
    if (start_as == StartAs::dom0 && notes.has_supported_features && (notes.supported >> XENFEAT_dom0 & 1) == 0)
        return refuse(LoadErrc::not_dom0_capable, "SUPPORTED_FEATURES", 1ull << XENFEAT_dom0, notes.supported);
    return {};
}

LoadResult<> find_extent(PvKernel& kernel) {
    std::uint64_t low = ~0ull, high = 0, below = ~0ull;
    kernel.image.for_each_segment([&](const Segment& segment) {
        below = std::min(below, segment.physical_address);
        low = std::min(low, kernel.address_of(segment));
        high = std::max(high, kernel.address_of(segment) + segment.mem_size);
    });
    if (below < kernel.paddr_offset) return refuse(LoadErrc::outside_image, "PADDR_OFFSET", below, kernel.paddr_offset);
    if (low < kernel.virt_base) return refuse(LoadErrc::address_range, "kernel start", kernel.virt_base, low);
    if (!guest_range(kernel.virt_base, high))
        return refuse(LoadErrc::address_range, "kernel end", HYPERVISOR_VIRT_START, high);
    kernel.virt_start = low;
    kernel.virt_end = high;
    return {};
}

LoadResult<> check_addresses(const PvKernel& kernel) {
    const auto inside = [&](std::uint64_t address) {
        return address >= kernel.virt_start && address < kernel.virt_end;
    };
    if (kernel.virt_base % page_size != 0)
        return refuse(LoadErrc::wrong_note, "VIRT_BASE", kernel.virt_base & ~(page_size - 1), kernel.virt_base);
    if (!inside(kernel.entry)) return refuse(LoadErrc::outside_image, "ENTRY", kernel.virt_start, kernel.entry);
    if (const auto page = kernel.notes.hypercall_page;
        page && (*page % page_size != 0 || !inside(*page) || !inside(*page + page_size - 1)))
        return refuse(LoadErrc::outside_image, "HYPERCALL_PAGE", kernel.virt_start, *page);
    if (const auto p2m = kernel.notes.init_p2m; p2m && *p2m % page_size != 0)
        return refuse(LoadErrc::wrong_note, "INIT_P2M", *p2m & ~(page_size - 1), *p2m);
    return {};
}

} // namespace

bool guest_range(std::uint64_t start, std::uint64_t end) {
    constexpr std::uint64_t low_half_end = 1ull << 47;
    if (end < start) return false;
    return end <= low_half_end || start >= HYPERVISOR_VIRT_END;
}

LoadResult<XenNotes> read_xen_notes(const ElfImage& image) {
    XenNotes notes;
    bool found = false;
    LoadResult<> state;
    const auto take = [&](const ElfNote& note) {
        if (note.name != "Xen") return true;
        found = true;
        state = take_note(note, notes);
        return state.has_value();
    };
    image.for_each_note(NoteSource::segments, take);
    if (!found) image.for_each_note(NoteSource::sections, take);
    TRY(state);
    if (!found && image.has_section("__xen_guest"))
        return refuse_text(LoadErrc::legacy_notes, "notes", "ELF notes of owner Xen", "section __xen_guest");
    if (!found) return refuse_text(LoadErrc::no_xen_notes, "notes", "ELF notes of owner Xen", "none");
    return notes;
}

LoadResult<PvKernel> read_pv_kernel(Bytes file, StartAs start_as) {
    TRY_ASSIGN(image, ElfImage::parse(file));
    TRY_ASSIGN(notes, read_xen_notes(image));
    TRY(check_values(notes, start_as));
    PvKernel kernel{
        {notes, notes.virt_base.value_or(0), notes.paddr_offset.value_or(0), notes.entry.value_or(image.entry()), 0, 0},
        image};
    TRY(find_extent(kernel));
    TRY(check_addresses(kernel));
    return kernel;
}

} // namespace streak::loader
