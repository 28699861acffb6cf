// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <map>
#include <random>

#include "loader/acpi.hpp"
#include "loader_test_elf.hpp"

using namespace streak::loader;
using namespace streak::loader::acpi;
using namespace loader_test;

namespace {

void fix_checksum(Blob& table, std::size_t at, std::size_t bytes) {
    table[at] = std::byte{0};
    unsigned sum = 0;
    for (std::size_t i = 0; i < bytes; ++i) sum += std::to_integer<unsigned>(table[i]);
    table[at] = static_cast<std::byte>(0u - sum);
}

Blob table(std::string_view signature, const Blob& body, std::uint8_t revision = 1) {
    Blob blob;
    append_text(blob, signature);
    append(blob, static_cast<std::uint32_t>(36 + body.size()));
    append(blob, revision);
    blob.resize(36);
    blob.insert(blob.end(), body.begin(), body.end());
    fix_checksum(blob, 9, blob.size());
    return blob;
}

template <class... Fields> Blob packed(Fields... fields) {
    Blob blob;
    (append(blob, fields), ...);
    return blob;
}

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

/// A little machine whose memory is a few blobs.
struct Machine {
    std::map<std::uint64_t, Blob> memory;

    Bytes operator()(std::uint64_t address, std::size_t bytes) const {
        auto it = memory.upper_bound(address);
        if (it == memory.begin()) return {};
        --it;
        const std::uint64_t offset = address - it->first;
        return slice(it->second, offset, bytes).value_or(Bytes{});
    }
};

Blob madt_body() {
    Blob body = packed(u32{0xFEE00000}, u32{1});
    for (const auto& entry :
         {packed(u8{0}, u8{8}, u8{0}, u8{0}, u32{1}), packed(u8{0}, u8{8}, u8{1}, u8{2}, u32{2}),
          packed(u8{9}, u8{16}, u16{0}, u32{0x100}, u32{1}, u32{7}),
          packed(u8{1}, u8{12}, u8{4}, u8{0}, u32{0xFEC00000}, u32{0}),
          packed(u8{2}, u8{10}, u8{0}, u8{9}, u32{9}, u16{0xD}), packed(u8{3}, u8{8}, u16{5}, u32{2}),
          packed(u8{4}, u8{6}, u8{0xFF}, u16{5}, u8{1}), packed(u8{10}, u8{12}, u16{0}, u32{~0u}, u8{0}, u8{0}, u16{0}),
          packed(u8{77}, u8{3}, u8{1})})
        body.insert(body.end(), entry.begin(), entry.end());
    return body;
}

Blob fadt_body(u32 dsdt) {
    Blob body(276 - 36);
    const auto set = [&](std::size_t at, auto value) { put(body, at - 36, value); };
    set(40, dsdt);
    set(46, u16{9});
    set(48, u32{0xB2});
    set(56, u32{0x600});
    set(64, u32{0x604});
    set(76, u32{0x608});
    set(88, u8{4});
    set(89, u8{2});
    set(91, u8{4});
    set(112, u32{1u << 10 | 1u << 8});
    set(116, u8{1}); // reset register: I/O
    set(117, u8{8});
    set(120, u64{0xCF9});
    set(128, u8{6});
    return body;
}

Blob s5_aml() {
    Blob aml;
    append_text(aml, "_S5_garbage");
    append_text(aml, std::string_view("\x08_S5_\x12\x08\x04\x0A\x05\x0A\x05\x00\x00", 14));
    return aml;
}

Machine pc(bool xsdt) {
    Machine machine;
    auto& m = machine.memory;
    m[0x1000] = table("FACP", fadt_body(0x2000), 3);
    m[0x2000] = table("DSDT", s5_aml());
    m[0x3000] = table("APIC", madt_body());
    m[0x4000] =
        table("HPET", packed(u32{0x8086a201}, u8{0}, u8{64}, u8{0}, u8{0}, u64{0xFED00000}, u8{0}, u16{100}, u8{0}));
    m[0x5000] = table("MCFG", packed(u64{0}, u64{0xB0000000}, u16{0}, u8{0}, u8{255}, u32{0}));
    m[0x6000] = xsdt ? table("XSDT", packed(u64{0x1000}, u64{0x3000}, u64{0x4000}, u64{0x5000}, u64{0xdead0000}))
                     : table("RSDT", packed(u32{0x1000}, u32{0x3000}, u32{0x4000}, u32{0x5000}));
    Blob rsdp;
    append_text(rsdp, std::string_view("RSD PTR \0OEMOEM", 15));
    append(rsdp, u8{static_cast<u8>(xsdt ? 2 : 0)});
    append(rsdp, u32{0x6000});
    fix_checksum(rsdp, 8, 20);
    append(rsdp, u32{36});
    append(rsdp, u64{0x6000});
    append(rsdp, u32{0});
    fix_checksum(rsdp, 32, 36);
    Blob bios(0x20000);
    std::copy(rsdp.begin(), rsdp.end(), bios.begin() + 0x5320);
    m[0xE0000] = bios;
    m[0x400] = Blob(256);
    return machine;
}

} // namespace

static void check_pc(bool xsdt) {
    const auto machine = pc(xsdt);
    const auto rsdp = find_rsdp(machine);
    REQUIRE(rsdp);
    CHECK(*rsdp == 0xE5320);
    Tables tables;
    REQUIRE(read_tables(machine(*rsdp, 36), machine, tables));
    CHECK(tables.directory.size() == 4);
    CHECK(tables.damaged == (xsdt ? 1 : 0));

    REQUIRE(tables.madt);
    CHECK(tables.madt->lapic_address == 0xFEE00000);
    REQUIRE(tables.madt->cpus.size() == 3);
    CHECK(tables.madt->cpus[0].enabled);
    CHECK(!tables.madt->cpus[1].enabled);
    CHECK(tables.madt->cpus[2].apic_id == 0x100);
    CHECK(tables.madt->cpus[2].processor_uid == 7);
    CHECK(tables.madt->ioapics[0].address == 0xFEC00000);
    REQUIRE(tables.madt->overrides.size() == 1);
    CHECK(tables.madt->overrides[0].source == 9);
    CHECK(tables.madt->overrides[0].flags.level());
    CHECK(!tables.madt->overrides[0].flags.active_low());

    REQUIRE(tables.fadt);
    CHECK(tables.fadt->pm1a_control.address == 0x604);
    CHECK(tables.fadt->pm1a_control.bits == 16);
    CHECK(tables.fadt->pm1b_control.address == 0);
    CHECK(tables.fadt->pm_timer.address == 0x608);
    CHECK(tables.fadt->has_reset());
    CHECK(tables.fadt->reset.address == 0xCF9);
    CHECK(tables.fadt->reset.space == Register::Space::io);
    CHECK(tables.fadt->reset_value == 6);

    REQUIRE(tables.hpet);
    CHECK(tables.hpet == 0xFED00000);
    REQUIRE(tables.mcfg.size() == 1);
    CHECK(tables.mcfg[0].last_bus == 255);
    REQUIRE(tables.s5);
    CHECK(tables.s5->pm1a == 5);
    CHECK(tables.s5->pm1b == 5);
}

TEST_CASE("the tables of a PC, by RSDT", "[loader][acpi]") { check_pc(false); }
TEST_CASE("the tables of a PC, by XSDT", "[loader][acpi]") { check_pc(true); }

TEST_CASE("the forms _S5 comes in", "[loader][acpi]") {
    const auto s5 = [](std::string_view aml) {
        Blob blob(36);
        append_text(blob, aml);
        return find_s5(blob);
    };
    using namespace std::string_view_literals;
    CHECK(s5("\x08_S5_\x12\x06\x04\x00\x00\x00\x00"sv)->pm1a == 0);
    CHECK(s5("\x08\\_S5_\x12\x07\x04\x0A\x07\x01\x00\x00"sv)->pm1a == 7);
    CHECK(s5("\x08\\_S5_\x12\x07\x04\x0A\x07\x01\x00\x00"sv)->pm1b == 1);
    CHECK(s5("\x08_S5_\x12\x47\x00\x04\x0B\x05\x00\x0C\x03\x00\x00\x00"sv)->pm1b == 3);
    CHECK(!s5("\x08_S5_\x12\x06\x04\x0A\x42\x00"sv)); // not a sleep type
    CHECK(!s5("\x14_S5_\x12\x06\x04\x00\x00\x00\x00"sv));
    CHECK(!s5("\x08_S5_\x12"sv));
    CHECK(!s5("\x08_S5_"sv));
    CHECK(!s5(""sv));
}

TEST_CASE("broken firmware", "[loader][acpi]") {
    auto machine = pc(true);
    Tables tables;
    SECTION("no RSDP") {
        machine.memory.erase(0xE0000);
        CHECK(find_rsdp(machine).error().code == LoadErrc::not_found);
    }
    SECTION("RSDP that isn't one") { CHECK(!read_tables(Blob(36), machine, tables)); }
    SECTION("root with a bad sum") {
        machine.memory[0x6000][20] ^= std::byte{1};
        CHECK(read_tables(machine(0xE5320, 36), machine, tables).error().code == LoadErrc::bad_checksum);
    }
    SECTION("MADT with a bad sum is left out") {
        machine.memory[0x3000][44] ^= std::byte{1};
        REQUIRE(read_tables(machine(0xE5320, 36), machine, tables));
        CHECK(!tables.madt);
        CHECK(tables.damaged == 2);
    }
    SECTION("MADT entry of size 0 ends the table") {
        Madt madt;
        CHECK(parse_madt(table("APIC", packed(u32{1}, u32{0}, u8{0}, u8{0}, u16{0})), madt).error().code ==
              LoadErrc::bad_table);
    }
    SECTION("short tables") {
        CHECK(!parse_fadt(table("FACP", Blob(20))));
        CHECK(!parse_hpet(table("HPET", Blob(4))));
    }
}

TEST_CASE("hostile tables are survived", "[loader][acpi][hostile]") {
    const auto good = pc(true);
    std::mt19937 random(99);
    for (int round = 0; round < 4000; ++round) {
        auto machine = good;
        for (auto& [address, blob] : machine.memory) {
            if (address == 0xE0000 || random() % 2 == 0) continue;
            blob[random() % blob.size()] = static_cast<std::byte>(random());
            if (blob.size() > 36 && random() % 4 != 0) fix_checksum(blob, 9, blob.size());
        }
        Tables tables;
        (void)read_tables(machine(0xE5320, 36), machine, tables);
    }
}
