// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <random>

#include "loader/multiboot2.hpp"
#include "loader_test_elf.hpp"

using namespace streak::loader;
using namespace loader_test;

namespace {

struct InfoBuilder {
    Blob blob = Blob(8);

    template <class... Fields> InfoBuilder& tag(std::uint32_t type, std::string_view text, Fields... fields) {
        const std::size_t at = blob.size();
        append(blob, type);
        append(blob, std::uint32_t{0});
        (append(blob, fields), ...);
        append_text(blob, text);
        put(blob, at + 4, static_cast<std::uint32_t>(blob.size() - at));
        blob.resize((blob.size() + 7) & ~7ull);
        return *this;
    }
    Blob build() {
        tag(0, "");
        put(blob, 0, static_cast<std::uint32_t>(blob.size()));
        return blob;
    }
};

constexpr std::string_view operator""_z(const char* text, std::size_t size) { return {text, size + 1}; }

InfoBuilder usual() {
    InfoBuilder info;
    info.tag(1, "dom0_mem=512M loglvl=all"_z).tag(2, "GRUB 2.06"_z);
    info.tag(3, "root=/dev/vda1 ro"_z, 0x1000000u, 0x1800000u).tag(3, ""_z, 0x2000000u, 0x2000000u);
    info.tag(4, "", 639u, 2096000u);
    info.tag(6, "", 24u, 0u, 0ull, 0x9fc00ull, 1u, 0u, 0x100000ull, 0x7fee0000ull, 1u, 0u, ~0ull, 2ull, 2u, 0u);
    info.tag(8, std::string_view("\x10\x08\x08\x08\x00\x08", 6), 0xfd000000ull, 4096u, 1024u, 768u, std::uint8_t{32},
             std::uint8_t{1}, std::uint16_t{0});
    info.tag(14, "RSD PTR old").tag(15, "RSD PTR new").tag(12, "", 0x7f000000ull).tag(18, "").tag(21, "", 0x200000u);
    info.tag(17, std::string(96, 'e'), 48u, 1u);
    info.tag(4242, "something new");
    return info;
}

} // namespace

TEST_CASE("what GRUB passes is found", "[loader][multiboot2]") {
    const auto blob = usual().build();
    const auto info = BootInfo::parse(blob);
    REQUIRE(info);
    CHECK(info->command_line == "dom0_mem=512M loglvl=all");
    REQUIRE(info->modules.size() == 2);
    CHECK(info->modules[0].start == 0x1000000);
    CHECK(info->modules[0].size() == 0x800000);
    CHECK(info->modules[0].command_line == "root=/dev/vda1 ro");
    CHECK(info->rsdp.size() == 11);
    CHECK(read_at<char>(info->rsdp, 8) == 'n');
    CHECK(info->efi_system_table == 0x7f000000ull);
    CHECK(info->efi_memory_map.descriptor_bytes == 48);
    CHECK(info->efi_memory_map.descriptors.size() == 96);
    REQUIRE(info->framebuffer);
    CHECK(info->framebuffer->width == 1024);
    CHECK(info->framebuffer->red.position == 16);
    std::vector<MemoryRange> ranges;
    info->for_each_range([&](const MemoryRange& range) { ranges.push_back(range); });
    REQUIRE(ranges.size() == 2); // the wrapping one is left out
    CHECK(ranges[1].start == 0x100000);
    CHECK(ranges[1].bytes == 0x7fee0000);
    CHECK(ranges[1].type == 1);
}

TEST_CASE("damaged information is refused", "[loader][multiboot2]") {
    CHECK(!BootInfo::parse({}));
    CHECK(!BootInfo::parse(Blob(8)));
    SECTION("total size beyond what is there") {
        auto blob = usual().build();
        put(blob, 0, static_cast<std::uint32_t>(blob.size() + 8));
        CHECK(BootInfo::parse(blob).error().code == LoadErrc::bad_boot_info);
    }
    SECTION("tag of size 0") {
        auto blob = usual().build();
        put(blob, 12, 0u);
        CHECK(BootInfo::parse(blob).error().item == "tag size");
    }
    SECTION("no end tag") {
        auto blob = usual().build();
        blob.resize(blob.size() - 8);
        put(blob, 0, static_cast<std::uint32_t>(blob.size()));
        CHECK(BootInfo::parse(blob).error().item == "end tag");
    }
    SECTION("memory map entries of size 0") { CHECK(!BootInfo::parse(InfoBuilder{}.tag(6, "", 0u, 0u).build())); }
    SECTION("module that ends before it starts") { CHECK(!BootInfo::parse(InfoBuilder{}.tag(3, "", 2u, 1u).build())); }
}

TEST_CASE("more modules than fit are counted", "[loader][multiboot2]") {
    InfoBuilder builder;
    for (unsigned i = 0; i < 20; ++i) builder.tag(3, "m"_z, i * 4096, i * 4096 + 1);
    const auto blob = builder.build();
    const auto info = BootInfo::parse(blob);
    REQUIRE(info);
    CHECK(info->modules.size() == max_boot_modules);
    CHECK(info->modules.dropped() == 4);
}

TEST_CASE("hostile boot information neither loops nor reads outside", "[loader][multiboot2][hostile]") {
    const auto good = usual().build();
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        auto blob = good;
        for (int i = 0; i < 6; ++i) blob[random() % blob.size()] = static_cast<std::byte>(random());
        if (random() % 4 == 0) blob.resize(random() % blob.size());
        if (const auto info = BootInfo::parse(blob)) {
            std::size_t count = 0;
            info->for_each_range([&](const MemoryRange&) { ++count; });
            CHECK(count <= blob.size() / 24);
        }
    }
}
