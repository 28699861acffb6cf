// SPDX-License-Identifier: GPL-2.0-only
#include "loader/acpi.hpp"
#include "loader/acpi_raw.hpp"

namespace streak::loader::acpi {

namespace {

template <class T> T field(Bytes table, std::uint64_t offset) { return read_at<T>(table, offset).value_or(T{}); }

// --- MADT (5.2.12) -------------------------------------------------------------------------------

constexpr std::uint8_t madt_lapic = 0, madt_ioapic = 1, madt_override = 2, madt_lapic_address = 5, madt_x2apic = 9;

LocalApic local_apic(std::uint32_t uid, std::uint32_t id, std::uint32_t flags) { return {uid, id, (flags & 1) != 0}; }

/// One entry; a short one is dropped.
void take_entry(Bytes entry, Madt& madt) {
    const auto u8 = [&](std::uint64_t at) { return field<std::uint8_t>(entry, at); };
    const auto u16 = [&](std::uint64_t at) { return field<std::uint16_t>(entry, at); };
    const auto u32 = [&](std::uint64_t at) { return field<std::uint32_t>(entry, at); };
    const auto is = [&](std::uint8_t type, std::size_t bytes) { return u8(0) == type && entry.size() >= bytes; };
    if (is(madt_lapic, 8)) madt.cpus.push(local_apic(u8(2), u8(3), u32(4)));
    else if (is(madt_x2apic, 16)) madt.cpus.push(local_apic(u32(12), u32(4), u32(8)));
    else if (is(madt_ioapic, 12)) madt.ioapics.push(IoApic{u8(2), u32(4), u32(8)});
    else if (is(madt_override, 10)) madt.overrides.push(SourceOverride{u8(3), u32(4), IntiFlags{u16(8)}});
    else if (is(madt_lapic_address, 12)) madt.lapic_address = field<std::uint64_t>(entry, 4);
}

// --- FADT (5.2.9) --------------------------------------------------------------------------------

Register io_register(std::uint32_t port, std::uint8_t bytes) {
    if (port == 0) return {};
    return {Register::Space::io, static_cast<std::uint8_t>(bytes * 8), port};
}

/// The 64-bit form when the table has it, else the port of ACPI 1.0.
Register either(Bytes table, std::uint64_t extended_at, std::uint64_t port_at, std::uint64_t length_at) {
    const auto raw = field<RawRegister>(table, extended_at);
    if (raw.address != 0) return {Register::Space{raw.space}, raw.bits, raw.address};
    return io_register(field<std::uint32_t>(table, port_at), field<std::uint8_t>(table, length_at));
}

// --- \_S5 ----------------------------------------------------------------------------------------

// (The codes of zero and one are their values.)
constexpr std::uint8_t aml_zero = 0x00, aml_one = 0x01, aml_name = 0x08, aml_byte = 0x0A, aml_word = 0x0B,
                       aml_dword = 0x0C, aml_package = 0x12, aml_root = '\\';

std::optional<SleepType> read_s5_package(Bytes aml, std::size_t at) {
    const auto byte = [&] { return read_at<std::uint8_t>(aml, at++); };
    // A constant integer (20.2.3); only the low byte matters for a sleep type.
    const auto integer = [&]() -> std::optional<std::uint8_t> {
        const auto code = byte();
        if (code == aml_zero || code == aml_one) return code;
        if (code != aml_byte && code != aml_word && code != aml_dword) return std::nullopt;
        const auto low = byte();
        at += code == aml_word ? 1 : code == aml_dword ? 3 : 0;
        return low;
    };
    if (byte() != aml_package) return std::nullopt;
    at += byte().value_or(0) >> 6; // PkgLength (20.2.4): the two top bits tell how many bytes follow the first
    const auto elements = byte();
    if (!elements || *elements == 0) return std::nullopt;
    const auto pm1a = integer();
    const auto pm1b = *elements > 1 ? integer() : pm1a;
    if (!pm1a || !pm1b || *pm1a > 7 || *pm1b > 7) return std::nullopt;
    return SleepType{*pm1a, *pm1b};
}

} // namespace

LoadResult<> parse_madt(Bytes table, Madt& madt) {
    constexpr std::uint64_t lapic_address_at = 36, first_entry = 44;
    if (table.size() < first_entry) return refuse(LoadErrc::bad_table, "MADT length", first_entry, table.size());
    madt.lapic_address = field<std::uint32_t>(table, lapic_address_at);
    for (std::uint64_t at = first_entry; at + 2 <= table.size();) {
        const auto bytes = field<std::uint8_t>(table, at + 1);
        const auto entry = slice(table, at, bytes);
        if (bytes < 2 || !entry) return refuse(LoadErrc::bad_table, "MADT entry length", table.size() - at, bytes);
        take_entry(*entry, madt);
        at += bytes;
    }
    return {};
}

LoadResult<Fadt> parse_fadt(Bytes table) {
    constexpr std::uint64_t least = 116; // ACPI 1.0
    if (table.size() < least) return refuse(LoadErrc::bad_table, "FADT length", least, table.size());
    Fadt fadt;
    fadt.revision = field<std::uint8_t>(table, 8);
    fadt.dsdt = field<std::uint32_t>(table, 40);
    fadt.flags = field<std::uint32_t>(table, 112);
    constexpr std::uint64_t pm1_control_length = 89, pm_timer_length = 91;
    fadt.pm1a_control = either(table, 172, 64, pm1_control_length);
    fadt.pm1b_control = either(table, 184, 68, pm1_control_length);
    fadt.pm_timer = either(table, 208, 76, pm_timer_length);
    const auto reset = field<RawRegister>(table, 116);
    fadt.reset = {Register::Space{reset.space}, reset.bits, reset.address};
    fadt.reset_value = field<std::uint8_t>(table, 128);
    if (const auto extended = field<std::uint64_t>(table, 140); extended != 0) fadt.dsdt = extended;
    return fadt;
}

LoadResult<std::uint64_t> parse_hpet(Bytes table) {
    constexpr std::uint64_t register_at = 40, whole = 56; // IA-PC HPET specification 1.0a, 3.2.4
    if (table.size() < whole) return refuse(LoadErrc::bad_table, "HPET length", whole, table.size());
    const auto base = field<RawRegister>(table, register_at);
    if (Register::Space{base.space} != Register::Space::memory || base.address == 0)
        return refuse(LoadErrc::bad_table, "HPET address space", 0, base.space);
    const std::uint64_t address = base.address; // which is not aligned there
    return address;
}

std::optional<SleepType> find_s5(Bytes aml) {
    constexpr std::uint32_t name = '_' | 'S' << 8 | '5' << 16 | '_' << 24;
    for (std::size_t at = sizeof(RawHeader); at + sizeof(name) < aml.size(); ++at) {
        if (read_at<std::uint32_t>(aml, at) != name) continue;
        const auto before = field<std::uint8_t>(aml, at - 1);
        const auto earlier = field<std::uint8_t>(aml, at - 2);
        if (before != aml_name && !(before == aml_root && earlier == aml_name)) continue;
        if (const auto found = read_s5_package(aml, at + sizeof(name))) return found;
    }
    return std::nullopt;
}

} // namespace streak::loader::acpi
