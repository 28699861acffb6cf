// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <random>

#include "loader/elf_notes.hpp"
#include "loader_test_elf.hpp"

using namespace streak::loader;
using namespace loader_test;

namespace {

/// Debian's 6.1 kernel in small.
ElfBuilder linux_like() {
    ElfBuilder elf;
    elf.load(0xffffffff81000000, 0x1000000, 0x5000)
        .load(0, 0x1005000, 0x1000)
        .load(0xffffffff81006000, 0x1006000, 0x2000);
    elf.text(XEN_ELFNOTE_GUEST_OS, "linux").text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    elf.number(XEN_ELFNOTE_VIRT_BASE, 0xffffffff80000000).number(XEN_ELFNOTE_ENTRY, 0xffffffff81006010);
    elf.number(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
    elf.note(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb"); // Linux: no NUL
    elf.note(XEN_ELFNOTE_SUPPORTED_FEATURES, std::string_view("\x01\x88\0\0", 4));
    elf.text(XEN_ELFNOTE_LOADER, "generic").note(XEN_ELFNOTE_MOD_START_PFN, std::string_view("\1\0\0\0", 4));
    elf.note(XEN_ELFNOTE_L1_MFN_VALID, std::string_view("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16));
    elf.number(XEN_ELFNOTE_HV_START_LOW, 0xffff800000000000).number(XEN_ELFNOTE_PADDR_OFFSET, 0);
    return elf;
}

LoadErrc error_of(const Blob& file, StartAs start_as = StartAs::dom0) {
    const auto kernel = read_pv_kernel(file, start_as);
    REQUIRE(!kernel);
    return kernel.error().code;
}

} // namespace

TEST_CASE("a Linux kernel's notes are read", "[loader][elf]") {
    const auto file = linux_like().build();
    const auto kernel = read_pv_kernel(file, StartAs::dom0);
    REQUIRE(kernel);
    CHECK(kernel->virt_base == 0xffffffff80000000);
    CHECK(kernel->entry == 0xffffffff81006010);
    CHECK(kernel->virt_start == 0xffffffff81000000);
    CHECK(kernel->virt_end == 0xffffffff81008000);
    CHECK(kernel->notes.guest_os == "linux");
    CHECK(kernel->notes.init_p2m == 0x8000000000);
    CHECK(kernel->notes.mod_start_pfn);
    CHECK(!kernel->notes.hypercall_page);
    CHECK(kernel->notes.required == 1u << XENFEAT_writable_page_tables);
    CHECK(kernel->notes.supported == (0x8801u | 1u << XENFEAT_pae_pgdir_above_4gb));
}

TEST_CASE("notes may be in a section only", "[loader][elf]") {
    auto elf = linux_like();
    elf.notes_in_section = true;
    const auto file = elf.build();
    REQUIRE(read_pv_kernel(file, StartAs::dom0));
}

TEST_CASE("a kernel without VIRT_BASE and ENTRY starts at 0 and at its ELF entry", "[loader][elf]") {
    ElfBuilder elf;
    elf.entry = 0x1010;
    const auto file = elf.load(0x1000, 0x1000, 0x100).text(XEN_ELFNOTE_GUEST_OS, "tiny").build();
    const auto kernel = read_pv_kernel(file, StartAs::dom0);
    REQUIRE(kernel);
    CHECK(kernel->virt_base == 0);
    CHECK(kernel->entry == 0x1010);
    CHECK(kernel->virt_start == 0x1000);
    CHECK(kernel->virt_end == 0x1100);
}

TEST_CASE("PADDR_OFFSET is taken off physical addresses", "[loader][elf]") {
    ElfBuilder elf;
    elf.load(0xffffffff80001000, 0xffffffff80001000, 0x1000).number(XEN_ELFNOTE_VIRT_BASE, 0xffffffff80000000);
    elf.number(XEN_ELFNOTE_PADDR_OFFSET, 0xffffffff80000000).number(XEN_ELFNOTE_ENTRY, 0xffffffff80001000);
    const auto file = elf.build();
    const auto kernel = read_pv_kernel(file, StartAs::dom_u);
    REQUIRE(kernel);
    CHECK(kernel->virt_start == 0xffffffff80001000);
}

TEST_CASE("unknown required features are reported, not refused", "[loader][elf]") {
    auto elf = linux_like();
    elf.text(XEN_ELFNOTE_FEATURES, "!quantum|dom0||!");
    const auto file = elf.build();
    const auto kernel = read_pv_kernel(file, StartAs::dom0);
    REQUIRE(kernel);
    CHECK(kernel->notes.unknown_required_count == 1);
    CHECK(kernel->notes.unknown_required[0] == "quantum");
}

TEST_CASE("what can't be started is refused with what was expected", "[loader][elf]") {
    SECTION("not ELF") { CHECK(error_of(Blob(100)) == LoadErrc::not_elf); }
    SECTION("empty") { CHECK(error_of({}) == LoadErrc::not_elf); }
    SECTION("32 bit") {
        auto file = linux_like().build();
        file[EI_CLASS] = std::byte{ELFCLASS32};
        CHECK(error_of(file) == LoadErrc::wrong_elf_kind);
    }
    SECTION("no notes") { CHECK(error_of(ElfBuilder{}.load(0, 0, 0x1000).build()) == LoadErrc::no_xen_notes); }
    SECTION("legacy section") {
        ElfBuilder elf;
        elf.extra_section = "__xen_guest";
        CHECK(error_of(elf.load(0, 0, 0x1000).build()) == LoadErrc::legacy_notes);
    }
    SECTION("loader") {
        const auto file = linux_like().text(XEN_ELFNOTE_LOADER, "special").build();
        const auto kernel = read_pv_kernel(file, StartAs::dom0);
        REQUIRE(!kernel);
        CHECK(kernel.error().item == "LOADER");
        CHECK(kernel.error().expected_text == "generic");
        CHECK(kernel.error().found_text == "special");
    }
    SECTION("dom0 without the feature, domU with the same file") {
        ElfBuilder elf;
        elf.load(0, 0, 0x1000).number(XEN_ELFNOTE_SUPPORTED_FEATURES, 1);
        CHECK(error_of(elf.build()) == LoadErrc::not_dom0_capable);
        CHECK(read_pv_kernel(elf.build(), StartAs::dom_u));
    }
    SECTION("entry outside") {
        CHECK(error_of(linux_like().number(XEN_ELFNOTE_ENTRY, 0x1000).build()) == LoadErrc::outside_image);
    }
    SECTION("hypercall page outside") {
        CHECK(error_of(linux_like().number(XEN_ELFNOTE_HYPERCALL_PAGE, 0xffffffff81008000).build()) ==
              LoadErrc::outside_image);
        CHECK(
            read_pv_kernel(linux_like().number(XEN_ELFNOTE_HYPERCALL_PAGE, 0xffffffff81007000).build(), StartAs::dom0));
    }
    SECTION("in the hypervisor's range") {
        CHECK(error_of(linux_like().number(XEN_ELFNOTE_VIRT_BASE, 0xffff800000000000).build()) ==
              LoadErrc::address_range);
    }
    SECTION("wraps around") {
        CHECK(error_of(linux_like().number(XEN_ELFNOTE_VIRT_BASE, 0xfffffffffffff000).build()) ==
              LoadErrc::address_range);
    }
    SECTION("note of odd size") {
        CHECK(error_of(linux_like().note(XEN_ELFNOTE_ENTRY, "abc").build()) == LoadErrc::bad_note);
    }
    SECTION("HVM-only kernel") {
        CHECK(error_of(linux_like().text(XEN_ELFNOTE_FEATURES, "!hvm_callback_vector").build()) ==
              LoadErrc::wrong_note);
    }
}

TEST_CASE("segments are bounded", "[loader][elf]") {
    auto file = linux_like().build();
    auto program = *read_at<Elf64_Phdr>(file, sizeof(Elf64_Ehdr));
    const auto with = [&](auto change) {
        change(program);
        put(file, sizeof(Elf64_Ehdr), program);
        return ElfImage::parse(file).error().code;
    };
    CHECK(with([](auto& p) { p.p_filesz = p.p_memsz + 1; }) == LoadErrc::bad_segment);
    CHECK(with([](auto& p) { p.p_filesz = 4, p.p_offset = ~0ull - 1; }) == LoadErrc::truncated);
    CHECK(with([](auto& p) { p.p_offset = 0, p.p_vaddr = ~0ull; }) == LoadErrc::bad_segment);
}

TEST_CASE("program headers outside the file", "[loader][elf]") {
    auto file = linux_like().build();
    auto header = *read_at<Elf64_Ehdr>(file, 0);
    header.e_phoff = ~0ull - 8;
    put(file, 0, header);
    CHECK(ElfImage::parse(file).error().code == LoadErrc::truncated);
}

TEST_CASE("every truncation and many mutations are survived", "[loader][elf][hostile]") {
    auto elf = linux_like();
    elf.extra_section = "__xen_guest";
    const auto good = elf.build();
    for (std::size_t size = 0; size < good.size(); ++size) (void)read_pv_kernel(Bytes(good).first(size), StartAs::dom0);
    std::mt19937 random(4711);
    for (int round = 0; round < 20000; ++round) {
        auto file = good;
        for (int i = 0; i < 4; ++i)
            file[random() % file.size()] = static_cast<std::byte>(random() % 3 == 0 ? 0xFF : random());
        if (const auto kernel = read_pv_kernel(file, StartAs::dom0)) {
            CHECK(kernel->virt_start <= kernel->entry);
            CHECK(kernel->entry < kernel->virt_end);
        }
    }
}
