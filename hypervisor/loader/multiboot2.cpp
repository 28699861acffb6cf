// SPDX-License-Identifier: GPL-2.0-only
#include "loader/multiboot2.hpp"

namespace streak::loader {

namespace {

// Multiboot2 specification 2.0, 3.6.x
constexpr std::uint32_t tag_end = 0, tag_command_line = 1, tag_module = 3, tag_memory_map = 6, tag_framebuffer = 8,
                        tag_efi64_system_table = 12, tag_acpi_old = 14, tag_acpi_new = 15, tag_efi_memory_map = 17;
constexpr std::uint32_t header_bytes = 8; // of the information, and of every tag
constexpr std::uint32_t largest_info = 16u << 20;

struct TagHeader {
    std::uint32_t type;
    std::uint32_t size; // with this header, without the padding to 8
};

struct [[gnu::packed]] MapEntry {
    std::uint64_t start, bytes;
    std::uint32_t type, reserved;
};

struct [[gnu::packed]] RawFramebuffer {
    std::uint64_t address;
    std::uint32_t pitch, width, height;
    std::uint8_t bits_per_pixel, type;
    std::uint16_t reserved;
};

} // namespace

LoadResult<std::uint32_t> boot_info_size(Bytes start) {
    const auto size = read_at<std::uint32_t>(start, 0).value_or(0);
    if (size < header_bytes + sizeof(TagHeader) || size > largest_info)
        return refuse(LoadErrc::bad_boot_info, "total size", largest_info, size);
    return size;
}

LoadResult<BootInfo> BootInfo::parse(Bytes info) {
    TRY_ASSIGN(size, boot_info_size(info));
    if (size > info.size()) return refuse(LoadErrc::bad_boot_info, "total size", info.size(), size);
    const Bytes all = info.first(size);

    BootInfo result;
    // Every step is at least a header long, so this ends after total size / 8 tags.
    for (std::uint64_t at = header_bytes;;) {
        const auto tag = read_at<TagHeader>(all, at);
        if (!tag) return refuse(LoadErrc::bad_boot_info, "end tag", at + sizeof(TagHeader), all.size());
        if (tag->type == tag_end) return result;
        const auto whole = slice(all, at, tag->size);
        if (tag->size < sizeof(TagHeader) || !whole)
            return refuse(LoadErrc::bad_boot_info, "tag size", all.size() - at, tag->size);
        TRY(result.take_tag(tag->type, whole->subspan(sizeof(TagHeader))));
        at += (std::uint64_t{tag->size} + 7) & ~7ull;
    }
}

LoadResult<> BootInfo::take_tag(std::uint32_t type, Bytes body) {
    switch (type) {
    case tag_command_line: command_line = read_string(body).value_or(""); return {};
    case tag_module: return take_module(body);
    case tag_memory_map: return take_memory_map(body);
    case tag_framebuffer: return take_framebuffer(body);
    case tag_efi64_system_table: efi_system_table = read_at<std::uint64_t>(body, 0); return {};
    case tag_acpi_old:
        if (rsdp.empty()) rsdp = body;
        return {};
    case tag_acpi_new: rsdp = body; return {};
    case tag_efi_memory_map:
        efi_memory_map.descriptor_bytes = read_at<std::uint32_t>(body, 0).value_or(0);
        efi_memory_map.version = read_at<std::uint32_t>(body, 4).value_or(0);
        efi_memory_map.descriptors = body.subspan(std::min<std::size_t>(8, body.size()));
        if (efi_memory_map.descriptor_bytes < 40) // EFI_MEMORY_DESCRIPTOR, UEFI 7.2
            return refuse(LoadErrc::bad_boot_info, "EFI descriptor size", 40, efi_memory_map.descriptor_bytes);
        return {};
    default: return {}; // tags we have no use for
    }
}

LoadResult<> BootInfo::take_module(Bytes body) {
    const auto start = read_at<std::uint32_t>(body, 0);
    const auto end = read_at<std::uint32_t>(body, 4);
    if (!start || !end || *end < *start)
        return refuse(LoadErrc::bad_boot_info, "module", start.value_or(0), end.value_or(0));
    modules.push(BootModule{*start, *end, read_string(body.subspan(8)).value_or("")});
    return {};
}

LoadResult<> BootInfo::take_memory_map(Bytes body) {
    const auto entry_bytes = read_at<std::uint32_t>(body, 0).value_or(0);
    if (entry_bytes < sizeof(MapEntry))
        return refuse(LoadErrc::bad_boot_info, "memory map entry", sizeof(MapEntry), entry_bytes);
    range_bytes_ = entry_bytes;
    ranges_ = body.subspan(std::min<std::size_t>(8, body.size()));
    return {};
}

LoadResult<> BootInfo::take_framebuffer(Bytes body) {
    const auto raw = read_at<RawFramebuffer>(body, 0);
    if (!raw) return refuse(LoadErrc::bad_boot_info, "framebuffer", sizeof(RawFramebuffer), body.size());
    using Colours = std::array<Framebuffer::Channel, 3>; // only there for RGB
    const auto colours = read_at<Colours>(body, sizeof(RawFramebuffer)).value_or(Colours{});
    framebuffer = Framebuffer{raw->address, raw->pitch, raw->width, raw->height, raw->bits_per_pixel,
                              raw->type,    colours[0], colours[1], colours[2]};
    return {};
}

void BootInfo::for_each_range(FunctionRef<void(const MemoryRange&)> visit) const {
    if (range_bytes_ == 0) return;
    for (std::uint64_t at = 0; const auto entry = read_at<MapEntry>(ranges_, at); at += range_bytes_)
        if (entry->bytes != 0 && entry->start + entry->bytes > entry->start)
            visit(MemoryRange{entry->start, entry->bytes, entry->type});
}

} // namespace streak::loader
