// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/function_ref.hpp"
#include "loader/bounded.hpp"
#include "loader/bytes.hpp"
#include "loader/load_error.hpp"

namespace streak::loader {

inline constexpr std::uint32_t multiboot2_magic = 0x36D76289; ///< in EAX at entry
inline constexpr std::size_t max_boot_modules = 16;

struct BootModule {
    std::uint64_t start; ///< machine address
    std::uint64_t end;
    std::string_view command_line; ///< as GRUB passes it: without the file name

    [[nodiscard]] std::uint64_t size() const { return end - start; }
};

/// One range of the firmware's memory map; `type` as in E820 (1 usable, 2 reserved, 3 ACPI, 4 NVS, 5 bad).
struct MemoryRange {
    std::uint64_t start;
    std::uint64_t bytes;
    std::uint32_t type;
};

struct Framebuffer {
    struct Channel {
        std::uint8_t position, bits;
    };
    std::uint64_t address;
    std::uint32_t pitch, width, height;
    std::uint8_t bits_per_pixel;
    std::uint8_t type; ///< 0 palette, 1 RGB, 2 EGA text
    Channel red, green, blue;
};

/// The EFI memory map as the firmware wrote it; entries are `descriptor_bytes` apart.
struct EfiMemoryMap {
    std::uint32_t descriptor_bytes = 0;
    std::uint32_t version = 0;
    Bytes descriptors;
};

/// The multiboot2 boot information (Multiboot2 specification 2.0, section 3.6). All strings and
/// spans are views into the information itself.
class BootInfo {
public:
    /// @param info at least `total_size` bytes, see boot_info_size(). Errors: bad_boot_info.
    [[nodiscard]] static LoadResult<BootInfo> parse(Bytes info);

    std::string_view command_line;
    Bounded<BootModule, max_boot_modules> modules;
    std::optional<Framebuffer> framebuffer;
    Bytes rsdp; ///< copy of the ACPI root pointer, the newer one when there are both
    std::optional<std::uint64_t> efi_system_table;
    EfiMemoryMap efi_memory_map;

    /// The E820-like memory map, in the loader's order; ranges that are empty or wrap are left out.
    void for_each_range(FunctionRef<void(const MemoryRange&)> visit) const;

private:
    LoadResult<> take_tag(std::uint32_t type, Bytes body);
    LoadResult<> take_module(Bytes body);
    LoadResult<> take_memory_map(Bytes body);
    LoadResult<> take_framebuffer(Bytes body);

    Bytes ranges_;
    std::uint32_t range_bytes_ = 0;
};

/// Size of the whole information in bytes, from its first 8 bytes. Errors: bad_boot_info.
[[nodiscard]] LoadResult<std::uint32_t> boot_info_size(Bytes start);

} // namespace streak::loader
