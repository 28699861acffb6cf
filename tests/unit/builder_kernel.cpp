// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <sys/stat.h>

#include <thread>

#include "builder/kernel_loader.hpp"
#include "builder/load_errors.hpp"
#include "builder_test_files.hpp"
#include "loader_test_pack.hpp"

using namespace streak;
using namespace streak::builder;
using namespace builder_test;
using base::ErrorKind;
using loader_test::append_text;
using loader_test::bzimage;
using loader_test::packers;
using loader_test::put;

namespace {

/// Each load sees files as settled, however young they are.
KernelLoader loader_in(const Folder& folder, std::uint64_t limit = KernelCache::default_limit) {
    return KernelLoader(KernelCache(folder.path / "cache", limit), 0);
}

Blob packed(const Blob& elf, loader::Format format = loader::Format::gzip) {
    for (const auto& packer : packers)
        if (packer.format == format) return bzimage(packer.pack(elf), format, static_cast<std::uint32_t>(elf.size()));
    return {};
}

/// Does the kernel read as the ELF file's segments say, with nothing but zeros left out?
void check_content(const Kernel& kernel, const Blob& elf) {
    const auto image = loader::read_pv_kernel(elf, loader::StartAs::dom_u);
    REQUIRE(image);
    image->image.for_each_segment([&](const loader::Segment& segment) {
        const auto start = image->address_of(segment);
        Blob memory(segment.data.size());
        for (const auto& piece : kernel.plan().pieces)
            if (piece.address >= start && piece.address < start + segment.data.size()) {
                const auto into = std::span(memory).subspan(piece.address - start, piece.bytes);
                REQUIRE(kernel.read(into, piece.offset));
            }
        CHECK(std::ranges::equal(memory, segment.data));
    });
}

base::Error refusal(const Blob& content) {
    const Folder folder;
    auto loader = loader_in(folder);
    const auto kernel = loader.load(folder.write("kernel", content));
    REQUIRE(!kernel);
    CHECK(kernel.error().what.find((folder.path / "kernel").string()) != std::string::npos);
    return kernel.error();
}

std::size_t entries(const Folder& folder) {
    std::size_t count = 0;
    for (const auto& file : fs::directory_iterator(folder.path / "cache"))
        count += file.path().filename().string().size() == 64;
    return count;
}

fs::path entry(const Folder& folder) {
    for (const auto& file : fs::directory_iterator(folder.path / "cache"))
        if (file.path().filename().string().size() == 64) return file.path();
    return {};
}

} // namespace

TEST_CASE("builder: kernels of every compression, unpacked once", "[builder]") {
    const auto elf = linux_like().build();
    for (const auto& [format, pack] : packers) {
        INFO(loader::name_of(format));
        const Folder folder;
        const auto file = folder.write("vmlinuz", packed(elf, format));
        auto loader = loader_in(folder);
        for (int i = 0; i < 2; ++i) {
            const auto kernel = loader.load(file);
            REQUIRE(kernel);
            CHECK((*kernel)->plan().description == "linux 2.6");
            check_content(**kernel, elf);
        }
        CHECK(loader.unpacked() == 1);
        auto next_process = loader_in(folder);
        REQUIRE(next_process.load(file));
        CHECK(next_process.unpacked() == 0);
    }
}

TEST_CASE("builder: a cached kernel whose notes are in a section", "[builder]") {
    const Folder folder;
    auto elf = linux_like();
    elf.notes_in_section = true;
    const auto file = folder.write("vmlinuz", packed(elf.build()));
    for (int i = 0; i < 2; ++i) {
        auto loader = loader_in(folder);
        const auto kernel = loader.load(file);
        REQUIRE(kernel);
        CHECK(loader.unpacked() == (i == 0 ? 1 : 0));
        CHECK((*kernel)->plan().description == "linux 2.6");
        check_content(**kernel, elf.build());
    }
}

TEST_CASE("builder: an ELF kernel stays where it is", "[builder]") {
    const Folder folder;
    const auto elf = linux_like().build();
    const auto file = folder.write("vmlinux", elf);
    auto loader = loader_in(folder);
    const auto kernel = loader.load(file);
    REQUIRE(kernel);
    check_content(**kernel, elf);
    CHECK(entries(folder) == 0);
    CHECK((*kernel)->check_unchanged());

    SECTION("written in place: noticed") {
        folder.write("vmlinux", linux_like(0xffffffff80000000, 5).build());
        const auto changed = (*kernel)->check_unchanged();
        REQUIRE(!changed);
        CHECK(changed.error().kind == ErrorKind::conflict);
        const auto again = loader.load(file);
        REQUIRE(again);
        check_content(**again, linux_like(0xffffffff80000000, 5).build());
    }
    SECTION("cut off: noticed") {
        fs::resize_file(file, 5000);
        Blob bytes(100);
        const auto read = (*kernel)->read(bytes, 0x90000);
        REQUIRE(!read);
        CHECK(read.error().kind == ErrorKind::conflict);
    }
    SECTION("replaced: this one goes on") {
        fs::remove(file);
        folder.write("vmlinux", linux_like(0xffffffff80000000, 5).build());
        check_content(**kernel, elf);
        CHECK((*kernel)->check_unchanged());
    }
    SECTION("others may write it: a sealed copy is used") {
        fs::permissions(file, fs::perms::others_write, fs::perm_options::add);
        const auto copy = loader.load(file);
        REQUIRE(copy);
        folder.write("vmlinux", linux_like(0xffffffff80000000, 5).build());
        check_content(**copy, elf);
        CHECK((*copy)->check_unchanged());
    }
}

TEST_CASE("builder: a file just written is not taken for settled", "[builder]") {
    const Folder folder;
    const auto file = folder.write("vmlinuz", packed(linux_like().build()));
    CHECK(!open_kernel(file)->stable);
    CHECK(open_kernel(file, 0)->stable);
    fs::permissions(file, fs::perms::group_write, fs::perm_options::add);
    CHECK(!open_kernel(file, 0)->stable);
    // The content's hash finds the unpacked kernel all the same.
    KernelLoader loader(KernelCache(folder.path / "cache"));
    REQUIRE(loader.load(file));
    REQUIRE(loader.load(file));
    CHECK(loader.unpacked() == 1);
}

TEST_CASE("builder: another kernel under the same name", "[builder]") {
    const Folder folder;
    auto loader = loader_in(folder);
    const auto old_elf = linux_like().build(), new_elf = linux_like(0xffffffff80000000, 9).build();
    const auto file = folder.write("vmlinuz", packed(old_elf));
    REQUIRE(loader.load(file));
    folder.write("vmlinuz", packed(new_elf));
    const auto kernel = loader.load(file);
    REQUIRE(kernel);
    check_content(**kernel, new_elf);
    CHECK(entries(folder) == 2);
}

TEST_CASE("builder: what is no kernel is named", "[builder]") {
    const Folder folder;
    auto loader = loader_in(folder);
    const auto missing = loader.load(folder.path / "nope").error();
    CHECK(missing.kind == ErrorKind::not_found);
    CHECK(missing.text().find("nope") != std::string::npos);
    CHECK(loader.load(folder.path).error().found == "a directory");
    CHECK(loader.load("/dev/null").error().found == "a device or socket");
    CHECK(refusal({}).found == "an empty file");

    Blob text;
    append_text(text, "#!/bin/sh\necho this is no kernel\n");
    CHECK(refusal(text).found == "a text file");
    Blob noise(300, std::byte{0x81});
    CHECK(refusal(noise).found == "a file that starts with 81818181");
    CHECK(refusal(Blob(2, std::byte{0x81})).found == "a file of some bytes only");
    Blob arm(300, std::byte{0x81});
    append_text(arm, "x");
    put(arm, 56, std::uint32_t{0x644D5241});
    CHECK(refusal(arm).found == "a kernel for 64-bit ARM");
    const Folder large;
    fs::resize_file(large.write("kernel", text), (1ull << 30) + 1);
    CHECK(loader_in(large).load(large.path / "kernel").error().found == "1024 MiB");
}

TEST_CASE("builder: ELF files for other machines are named", "[builder]") {
    auto elf = linux_like().build();
    SECTION("32-bit") {
        elf[EI_CLASS] = std::byte{ELFCLASS32};
        CHECK(refusal(elf).found == "a 32-bit program");
        CHECK(refusal(packed(elf)).found == "a 32-bit program"); // and inside of a bzImage
    }
    SECTION("ARM") {
        put(elf, offsetof(Elf64_Ehdr, e_machine), std::uint16_t{EM_AARCH64});
        CHECK(refusal(elf).found == "a program for 64-bit ARM");
    }
    SECTION("big-endian") {
        elf[EI_DATA] = std::byte{ELFDATA2MSB};
        CHECK(refusal(elf).found == "a big-endian program");
    }
    SECTION("a module") {
        put(elf, offsetof(Elf64_Ehdr, e_type), std::uint16_t{ET_REL});
        CHECK(refusal(elf).found.find("module") != std::string::npos);
    }
    SECTION("cut off") {
        elf.resize(elf.size() / 2);
        CHECK(refusal(elf).found.find("ends after") != std::string::npos);
    }
}

TEST_CASE("builder: kernels that are not for PV are named", "[builder]") {
    ElfBuilder bare;
    bare.load(0x100000, 0x100000, 0x2000);
    CHECK(refusal(bare.build()).text().find("not a PV kernel; expected ELF notes of owner Xen; found none") !=
          std::string::npos);
    auto legacy = bare;
    legacy.extra_section = "__xen_guest";
    CHECK(refusal(legacy.build()).found == "a section __xen_guest only");
    auto pvh = bare;
    pvh.number(XEN_ELFNOTE_PHYS32_ENTRY, 0x100000);
    CHECK(refusal(pvh.build()).found == "PHYS32_ENTRY only (a kernel for PVH)");

    auto feature = linux_like();
    feature.text(XEN_ELFNOTE_FEATURES, "!writable_page_tables|!auto_translated_physmap|!hvm_callback_vector");
    CHECK(refusal(feature.build()).found == "auto_translated_physmap, hvm_callback_vector");
    auto other_loader = linux_like();
    other_loader.text(XEN_ELFNOTE_LOADER, "special");
    const auto error = refusal(other_loader.build());
    CHECK(error.expected == "LOADER generic");
    CHECK(error.found == "special");
    auto overlap = linux_like();
    overlap.load(0xffffffff80180000, 0x18f000, 0x2000);
    CHECK(refusal(overlap.build()).what.find("overlap") != std::string::npos);
    auto shared = linux_like().load(0, 0x800000, 0x90000, "").build();
    const auto header_at = [](std::size_t index) { return sizeof(Elf64_Ehdr) + index * sizeof(Elf64_Phdr); };
    auto header = *loader::read_at<Elf64_Phdr>(shared, header_at(0));
    header.p_paddr = 0x800000;
    put(shared, header_at(3), header);
    CHECK(refusal(shared).what.find("share bytes") != std::string::npos);
    auto outside = linux_like();
    outside.number(XEN_ELFNOTE_ENTRY, 0x1000);
    CHECK(refusal(outside.build()).text().find("ENTRY") != std::string::npos);
}

TEST_CASE("builder: payloads that can't be unpacked are named", "[builder]") {
    const auto elf = linux_like().build();
    Blob strange(100, std::byte{0x77});
    const auto unknown = refusal(bzimage(strange, loader::Format::unknown, 100));
    CHECK(unknown.found == "77777777");
    Blob bzip2;
    append_text(bzip2, "BZh91AY&SY......................");
    CHECK(refusal(bzimage(bzip2, loader::Format::bzip2, 100)).found == "bzip2");

    for (const auto& [format, pack] : packers) {
        INFO(loader::name_of(format));
        auto stream = pack(elf);
        auto cut = bzimage({stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(stream.size() / 2)}, format,
                           static_cast<std::uint32_t>(elf.size()));
        CHECK(refusal(cut).remedy.find("damaged or cut off") != std::string::npos);
        auto shorter = packed(elf, format);
        shorter.resize(shorter.size() / 2);
        CHECK(refusal(shorter).found.find("payload that ends after") != std::string::npos);
        if (format == loader::Format::gzip) continue; // it tells its size itself
        const auto lies = bzimage(stream, format, static_cast<std::uint32_t>(elf.size() - 1));
        CHECK(refusal(lies).remedy.find("damaged or cut off") != std::string::npos);
        const auto boasts = bzimage(stream, format, static_cast<std::uint32_t>(elf.size() + 1));
        CHECK(refusal(boasts).found.find("ends after") != std::string::npos);
    }
    auto greedy = packed(elf, loader::Format::xz);
    greedy[5 * 512 + 0x100 + 12 + 6] = std::byte{40}; // 4 GiB of dictionary
    const auto error = refusal(greedy);
    CHECK((error.kind == ErrorKind::resources || error.found.find("damaged") != std::string::npos));
    auto old = packed(elf);
    put(old, 0x206, std::uint16_t{0x203});
    CHECK(refusal(old).found == "2.03");
}

TEST_CASE("builder: a damaged cache entry is unpacked anew", "[builder]") {
    const Folder folder;
    const auto elf = linux_like().build();
    const auto file = folder.write("vmlinuz", packed(elf));
    REQUIRE(loader_in(folder).load(file));
    const auto cached = entry(folder);
    SECTION("a byte differs") {
        std::fstream stream(cached, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekp(0x2000);
        stream.put('\7');
    }
    SECTION("cut off") { fs::resize_file(cached, fs::file_size(cached) - 1); }
    SECTION("empty") { fs::resize_file(cached, 0); }
    SECTION("longer") { fs::resize_file(cached, fs::file_size(cached) + 16); }
    SECTION("the list of runs") {
        std::fstream stream(cached, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekp(-40, std::ios::end); // the last run's length
        stream.put('\xff');
    }
    SECTION("the number of runs") {
        std::fstream stream(cached, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekp(-10, std::ios::end);
        stream.put('\xff');
    }
    SECTION("others may read it") { fs::permissions(cached, fs::perms::others_read, fs::perm_options::add); }
    SECTION("a second name") { fs::create_hard_link(cached, folder.path / "link"); }
    SECTION("a symbolic link") {
        fs::rename(cached, folder.path / "moved");
        fs::create_symlink(folder.path / "moved", cached);
    }
    SECTION("removed") { fs::remove(cached); }
    auto loader = loader_in(folder);
    const auto kernel = loader.load(file);
    REQUIRE(kernel);
    CHECK(loader.unpacked() == 1);
    check_content(**kernel, elf);
}

TEST_CASE("builder: a cache that is removed or unusable costs time only", "[builder]") {
    const Folder folder;
    const auto elf = linux_like().build();
    const auto file = folder.write("vmlinuz", packed(elf));
    auto loader = loader_in(folder);
    SECTION("removed while in use") {
        const auto first = loader.load(file);
        if (!first) FAIL(first.error().text());
        fs::remove_all(folder.path / "cache");
        check_content(**first, elf);
    }
    SECTION("a file in its place") { folder.write("cache", elf); }
    SECTION("writable by others") {
        fs::create_directory(folder.path / "cache");
        fs::permissions(folder.path / "cache", fs::perms::all);
    }
    SECTION("a link in its place") {
        fs::create_directory(folder.path / "elsewhere");
        fs::create_symlink(folder.path / "elsewhere", folder.path / "cache");
    }
    const auto kernel = loader.load(file);
    if (!kernel) FAIL(kernel.error().text());
    check_content(**kernel, elf);
    CHECK(loader.unpacked() >= 1);
    CHECK((!fs::exists(folder.path / "elsewhere") || fs::is_empty(folder.path / "elsewhere")));
}

TEST_CASE("builder: the cache is bounded, the least recently used kernel goes", "[builder]") {
    const Folder folder;
    const std::uint64_t about_two = 2 * 500'000;
    auto loader = loader_in(folder, about_two);
    const auto age = [](const fs::path& file, int hours) {
        fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(hours));
    };
    const auto cached = [&](unsigned seed) {
        const auto file = packed(linux_like(0xffffffff80000000, seed).build());
        return folder.path / "cache" / content_hash(file);
    };
    const auto load = [&](unsigned seed) {
        const auto name = "vmlinuz-" + std::to_string(seed);
        const auto file = folder.path / name;
        if (!fs::exists(file)) folder.write(name.c_str(), packed(linux_like(0xffffffff80000000, seed).build()));
        REQUIRE(loader.load(file));
    };
    load(10);
    age(cached(10), 5);
    load(20);
    age(cached(20), 4);
    load(10); // used again
    load(30);
    CHECK(fs::exists(cached(10)));
    CHECK(!fs::exists(cached(20)));
    CHECK(fs::exists(cached(30)));
    for (const auto& file : fs::directory_iterator(folder.path / "cache"))
        CHECK((!file.is_symlink() || fs::exists(file.path()))); // no link leads nowhere
    load(20);
    CHECK(loader.unpacked() == 4);
}

TEST_CASE("builder: a kernel larger than the cache is used, and left by the next one", "[builder]") {
    const Folder folder;
    auto loader = loader_in(folder, 4096);
    REQUIRE(loader.load(folder.write("a", packed(linux_like().build()))));
    CHECK(entries(folder) == 1);
    REQUIRE(loader.load(folder.write("b", packed(linux_like(0xffffffff80000000, 7).build()))));
    CHECK(entries(folder) == 1);
}

TEST_CASE("builder: what a dead process left in the cache goes", "[builder]") {
    const Folder folder;
    fs::create_directory(folder.path / "cache");
    fs::permissions(folder.path / "cache", fs::perms::owner_all);
    std::ofstream(folder.path / "cache" / "new-1") << "half a kernel";
    REQUIRE(loader_in(folder).load(folder.write("a", packed(linux_like().build()))));
    CHECK(!fs::exists(folder.path / "cache" / "new-1"));
}

TEST_CASE("builder: loading at the same time unpacks once", "[builder]") {
    const Folder folder;
    const auto file = folder.write("vmlinuz", packed(linux_like().build(), loader::Format::xz));
    auto one = loader_in(folder), other = loader_in(folder); // as two processes
    std::vector<std::thread> threads;
    std::atomic<unsigned> good = 0;
    for (int i = 0; i < 3; ++i)
        for (auto* loader : {&one, &other})
            threads.emplace_back([&, loader] { good += loader->load(file).has_value(); });
    for (auto& thread : threads) thread.join();
    CHECK(good == 6);
    CHECK(one.unpacked() + other.unpacked() == 1);
}
