// SPDX-License-Identifier: GPL-2.0-only
#include "loader/acpi.hpp"

#include "loader/acpi_raw.hpp"

namespace streak::loader::acpi {

namespace {

constexpr std::uint32_t largest_table = 16u << 20;
constexpr std::size_t rsdp_v1_bytes = 20, rsdp_bytes = 36;
constexpr std::string_view rsdp_signature = "RSD PTR ";

bool has_signature(Bytes data, std::string_view signature) {
    const auto start = slice(data, 0, signature.size());
    return start && std::string_view(reinterpret_cast<const char*>(start->data()), start->size()) == signature;
}

/// The table at `address`, whole and with a good check sum, or the reason why not.
LoadResult<Bytes> map_table(std::uint64_t address, PhysicalMemory memory) {
    const auto header = read_at<RawHeader>(memory(address, sizeof(RawHeader)), 0);
    if (!header) return refuse(LoadErrc::not_found, "ACPI table", address, 0);
    if (header->length < sizeof(RawHeader) || header->length > largest_table)
        return refuse(LoadErrc::bad_table, "ACPI table length", largest_table, header->length);
    const auto table = memory(address, header->length);
    if (table.size() < header->length) return refuse(LoadErrc::not_found, "ACPI table", address, 0);
    if (!checksum_ok(table.first(header->length))) return refuse(LoadErrc::bad_checksum, "ACPI table", 0, address);
    return table.first(header->length);
}

std::optional<std::uint64_t> scan(std::uint64_t start, std::size_t bytes, PhysicalMemory memory) {
    const auto area = memory(start, bytes);
    for (std::size_t at = 0; at + rsdp_v1_bytes <= area.size(); at += 16)
        if (has_signature(area.subspan(at), rsdp_signature) && checksum_ok(area.subspan(at, rsdp_v1_bytes)))
            return start + at;
    return std::nullopt;
}

struct Root {
    std::uint64_t address;
    std::uint8_t entry_bytes; ///< 8: XSDT, 4: RSDT
};

LoadResult<Root> read_root(Bytes bytes) {
    if (!has_signature(bytes, rsdp_signature)) return refuse(LoadErrc::not_found, "RSDP");
    if (bytes.size() < rsdp_v1_bytes) return refuse(LoadErrc::bad_table, "RSDP length", rsdp_v1_bytes, bytes.size());
    if (!checksum_ok(bytes.first(rsdp_v1_bytes))) return refuse(LoadErrc::bad_checksum, "RSDP");
    constexpr std::uint64_t revision_at = 15, rsdt_at = 16, xsdt_at = 24; // 5.2.5.3
    const auto revision = read_at<std::uint8_t>(bytes, revision_at).value_or(0);
    const auto xsdt = read_at<std::uint64_t>(bytes.size() >= rsdp_bytes ? bytes : Bytes{}, xsdt_at).value_or(0);
    if (revision >= 2 && xsdt != 0) return Root{xsdt, 8};
    return Root{read_at<std::uint32_t>(bytes, rsdt_at).value_or(0), 4};
}

void read_mcfg(Bytes table, Tables& tables) {
    constexpr std::uint64_t first_entry = sizeof(RawHeader) + 8;
    for (std::uint64_t at = first_entry; const auto raw = read_at<RawMcfgEntry>(table, at); at += sizeof(RawMcfgEntry))
        tables.mcfg.push(McfgEntry{raw->address, raw->segment, raw->first_bus, raw->last_bus});
}

template <class T> void store(std::optional<T>& to, LoadResult<T> parsed, Tables& tables) {
    if (parsed) to = *parsed;
    else ++tables.damaged;
}

/// Takes what is wanted out of one table of the directory.
void read_table(Bytes table, Tables& tables) {
    if (has_signature(table, "APIC") && !tables.madt) {
        if (!parse_madt(table, tables.madt.emplace()))
            ++tables.damaged; // what was read before the damage is better than nothing
    }
    if (has_signature(table, "FACP") && !tables.fadt) store(tables.fadt, parse_fadt(table), tables);
    if (has_signature(table, "HPET") && !tables.hpet) store(tables.hpet, parse_hpet(table), tables);
    if (has_signature(table, "MCFG") && tables.mcfg.empty()) read_mcfg(table, tables);
}

void add_table(std::uint64_t address, PhysicalMemory memory, Tables& tables) {
    const auto table = map_table(address, memory);
    if (!table) {
        ++tables.damaged;
        return;
    }
    const auto header = read_at<RawHeader>(*table, 0).value_or(RawHeader{});
    tables.directory.push(TableEntry{header.signature, address, header.length});
    read_table(*table, tables);
}

/// The DSDT is the first place to look at for \_S5; it hangs off the FADT, not off the root.
void read_s5(PhysicalMemory memory, Tables& tables) {
    if (tables.fadt && tables.fadt->dsdt != 0)
        if (const auto dsdt = map_table(tables.fadt->dsdt, memory)) tables.s5 = find_s5(*dsdt);
    for (const auto& entry : tables.directory) {
        if (tables.s5) return;
        if (entry.name() != "SSDT") continue;
        if (const auto ssdt = map_table(entry.address, memory)) tables.s5 = find_s5(*ssdt);
    }
}

} // namespace

bool checksum_ok(Bytes table) {
    std::uint8_t sum = 0;
    for (const auto byte : table) sum = static_cast<std::uint8_t>(sum + std::to_integer<std::uint8_t>(byte));
    return sum == 0;
}

LoadResult<std::uint64_t> find_rsdp(PhysicalMemory memory) {
    constexpr std::uint64_t ebda_segment_at = 0x40E, bios_start = 0xE0000;
    constexpr std::size_t ebda_bytes = 1024, bios_bytes = 0x20000;
    const std::uint64_t ebda = std::uint64_t{read_at<std::uint16_t>(memory(ebda_segment_at, 2), 0).value_or(0)} << 4;
    if (ebda != 0)
        if (const auto found = scan(ebda, ebda_bytes, memory)) return *found;
    if (const auto found = scan(bios_start, bios_bytes, memory)) return *found;
    return refuse(LoadErrc::not_found, "RSDP");
}

LoadResult<> read_tables(Bytes rsdp, PhysicalMemory memory, Tables& tables) {
    TRY_ASSIGN(root, read_root(rsdp));
    TRY_ASSIGN(mapped, map_table(root.address, memory));
    // The next call of `memory` may take the mapping away, so the addresses are copied first.
    Bounded<std::uint64_t, max_tables> addresses;
    for (std::uint64_t at = sizeof(RawHeader); slice(mapped, at, root.entry_bytes); at += root.entry_bytes)
        addresses.push(root.entry_bytes == 8 ? read_at<std::uint64_t>(mapped, at).value_or(0)
                                             : read_at<std::uint32_t>(mapped, at).value_or(0));
    for (const auto address : addresses) add_table(address, memory, tables);
    read_s5(memory, tables);
    return {};
}

} // namespace streak::loader::acpi
