// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/function_ref.hpp"
#include "loader/bounded.hpp"
#include "loader/bytes.hpp"
#include "loader/load_error.hpp"

namespace streak::loader::acpi {

// The static ACPI tables (ACPI 6.4), parsed without an AML interpreter. Firmware is not trusted to
// be right: every length is checked and every table's bytes must sum up to zero.

/// Gives `bytes` bytes of physical memory, or an empty span when they can't be read. The result is
/// used until the next call only.
using PhysicalMemory = FunctionRef<Bytes(std::uint64_t address, std::size_t bytes)>;

inline constexpr std::size_t max_cpus = 256;
inline constexpr std::size_t max_ioapics = 16;
inline constexpr std::size_t max_overrides = 32;
inline constexpr std::size_t max_tables = 64;

/// Polarity and trigger of an interrupt (MPS INTI flags, ACPI 5.2.12.5).
struct IntiFlags {
    std::uint16_t raw = 0;
    [[nodiscard]] bool active_low() const { return (raw & 3) == 3; }
    [[nodiscard]] bool level() const { return (raw >> 2 & 3) == 3; }
};

struct LocalApic {
    std::uint32_t processor_uid;
    std::uint32_t apic_id;
    bool enabled;
};

struct IoApic {
    std::uint8_t id;
    std::uint32_t address;
    std::uint32_t gsi_base;
};

struct SourceOverride { ///< ISA interrupt `source` arrives at `gsi`
    std::uint8_t source;
    std::uint32_t gsi;
    IntiFlags flags;
};

struct Madt {
    std::uint64_t lapic_address = 0;
    Bounded<LocalApic, max_cpus> cpus;
    Bounded<IoApic, max_ioapics> ioapics;
    Bounded<SourceOverride, max_overrides> overrides;
};

/// Generic address (ACPI 5.2.3.2).
struct Register {
    enum class Space : std::uint8_t { memory = 0, io = 1, pci = 2 };
    Space space = Space::memory;
    std::uint8_t bits = 0;
    std::uint64_t address = 0; ///< 0: absent
};

struct Fadt {
    std::uint8_t revision = 0;
    std::uint32_t flags = 0;
    std::uint64_t dsdt = 0;
    Register pm1a_control, pm1b_control, pm_timer;
    Register reset;
    std::uint8_t reset_value = 0;

    [[nodiscard]] bool has_reset() const { return (flags >> 10 & 1) != 0 && reset.address != 0; }
};

struct McfgEntry { ///< PCI configuration space in memory
    std::uint64_t address;
    std::uint16_t segment;
    std::uint8_t first_bus, last_bus;
};

/// Values for SLP_TYP of PM1a and PM1b control, bits 12:10 of each.
struct SleepType {
    std::uint8_t pm1a, pm1b;
};

/// Where tables are.
struct TableEntry {
    std::array<char, 4> signature;
    std::uint64_t address;
    std::uint32_t bytes;
    [[nodiscard]] std::string_view name() const { return {signature.data(), signature.size()}; }
};

/// Everything the hypervisor wants of the static tables; what isn't there stays empty.
struct Tables {
    Bounded<TableEntry, max_tables> directory; ///< without damaged ones
    std::size_t damaged = 0;                   ///< tables with bad length or check sum
    std::optional<Madt> madt;
    std::optional<Fadt> fadt;
    std::optional<std::uint64_t> hpet; ///< its registers' address
    Bounded<McfgEntry, 8> mcfg;
    std::optional<SleepType> s5; ///< from the DSDT, else an SSDT
};

/// Looks for the root pointer where a BIOS leaves it: the EBDA's first KiB, then 0xE0000-0xFFFFF
/// (ACPI 5.2.5.1). Returns its address. Errors: not_found.
[[nodiscard]] LoadResult<std::uint64_t> find_rsdp(PhysicalMemory memory);

/// Reads all tables.
/// @param rsdp the root pointer's bytes (20 or 36), e.g. of the multiboot2 tag
/// @param tables starts out empty; some KiB, so better not on a hypervisor stack
/// Errors: not_found, bad_checksum, bad_table; about the RSDP and the root table only.
[[nodiscard]] LoadResult<> read_tables(Bytes rsdp, PhysicalMemory memory, Tables& tables);

// Single tables, whole (with header, check sum verified by the caller).
[[nodiscard]] LoadResult<> parse_madt(Bytes table, Madt& madt);
[[nodiscard]] LoadResult<Fadt> parse_fadt(Bytes table);
[[nodiscard]] LoadResult<std::uint64_t> parse_hpet(Bytes table);

/// Finds `Name (_S5, Package ...)` in AML by its bytes.
[[nodiscard]] std::optional<SleepType> find_s5(Bytes aml);

/// True when the bytes sum up to zero modulo 256.
[[nodiscard]] bool checksum_ok(Bytes table);

} // namespace streak::loader::acpi
