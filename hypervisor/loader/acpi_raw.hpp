// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>

// Layouts of the ACPI tables as firmware writes them (ACPI 6.4, section 5.2).
namespace streak::loader::acpi {

struct [[gnu::packed]] RawHeader {
    std::array<char, 4> signature;
    std::uint32_t length;
    std::array<std::uint8_t, 28> revision_and_creator;
};
static_assert(sizeof(RawHeader) == 36);

struct [[gnu::packed]] RawRegister {
    std::uint8_t space, bits, offset, access;
    std::uint64_t address;
};
static_assert(sizeof(RawRegister) == 12);

struct [[gnu::packed]] RawMcfgEntry {
    std::uint64_t address;
    std::uint16_t segment;
    std::uint8_t first_bus, last_bus;
    std::uint32_t reserved;
};
static_assert(sizeof(RawMcfgEntry) == 16);

} // namespace streak::loader::acpi
