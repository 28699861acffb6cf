// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <elf.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debug/dump.hpp"
#include "debug/page_walk.hpp"
#include "fake_port.hpp"

using namespace streak;
using namespace streak::debug;
using test::FakePort;

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<char>;

constexpr std::uint64_t present = 1, writable = 2, no_execute = 1ull << 63;
constexpr std::uint64_t code = 0xffffffff81000000;

/// A domain of two vCPUs, one of them started, with pages 8 to 15 mapped from `code` on.
struct Host {
    FakePort port;
    hv::Hypervisor hypervisor{port};
    DomId id = *hypervisor.create_domain({.handle = base::Uuid::random(), .max_vcpus = 2});
    test::FakeDomain& domain = *port.find(id);
    std::vector<std::uint64_t> frames;
    fs::path folder = fs::temp_directory_path() / ("streak-dump-" + base::Uuid::random().text());
    std::string file = folder / "core";

    Host() {
        fs::create_directory(folder);
        REQUIRE(hypervisor.set_max_memory(id, 64 << 10));
        frames = *hypervisor.populate(id, Pfn(0), 16);
        entry(0, 511, frames[1] << 12 | present | writable);
        entry(1, 510, frames[2] << 12 | present | writable);
        entry(2, 8, frames[3] << 12 | present | writable);
        for (unsigned i = 8; i < 16; ++i) {
            entry(3, i - 8, frames[i] << 12 | present | (i < 12 ? 0 : writable | no_execute));
            std::memset(port.frame(frames[i]).data(), i == 9 ? 0 : static_cast<int>('a' + i), page_size);
        }
        vcpu_guest_context_t context{};
        context.ctrlreg[3] = frames[0] << 12;
        context.user_regs.rip = code + 16;
        context.user_regs.rsp = code + 0x4ff8;
        context.gs_base_kernel = 0x1234;
        context.flags = VGCF_in_kernel;
        domain.contexts[0] = context;
        domain.pauses = 0;
    }
    ~Host() {
        CHECK(port.buffers() == 0);
        CHECK(port.mappings() == 0);
        CHECK(domain.pauses == 0);
        CHECK_FALSE(fs::exists(file + ".partial"));
        fs::remove_all(folder);
    }

    void entry(unsigned table, unsigned index, std::uint64_t value) {
        std::memcpy(&port.frame(frames[table])[index * sizeof value], &value, sizeof value);
    }
    base::Outcome<Dumped> write(CoreFormat format = CoreFormat::gdb, bool replace = false) {
        return dump(hypervisor, id, format, file, replace, [](std::uint64_t, std::uint64_t) {});
    }
    Bytes content() const {
        std::ifstream in(file, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
};

template <class T> T at(const Bytes& bytes, std::size_t offset) {
    T value{};
    REQUIRE(offset + sizeof value <= bytes.size());
    std::memcpy(&value, &bytes[offset], sizeof value);
    return value;
}

/// What gdb would find at an address.
char byte_at(const Bytes& core, std::uint64_t address) {
    const auto header = at<Elf64_Ehdr>(core, 0);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        const auto load = at<Elf64_Phdr>(core, header.e_phoff + i * sizeof(Elf64_Phdr));
        if (load.p_type == PT_LOAD && address - load.p_vaddr < load.p_filesz)
            return at<char>(core, load.p_offset + address - load.p_vaddr);
    }
    return '?';
}

std::map<std::string, Elf64_Shdr> sections(const Bytes& core) {
    const auto header = at<Elf64_Ehdr>(core, 0);
    const auto names = at<Elf64_Shdr>(core, header.e_shoff + header.e_shstrndx * sizeof(Elf64_Shdr));
    std::map<std::string, Elf64_Shdr> all;
    for (unsigned i = 0; i < header.e_shnum; ++i) {
        const auto section = at<Elf64_Shdr>(core, header.e_shoff + i * sizeof(Elf64_Shdr));
        all[&core[names.sh_offset + section.sh_name]] = section;
    }
    return all;
}

} // namespace

TEST_CASE("a core for gdb has the guest's pages at their addresses, and its registers", "[debug]") {
    Host host;
    const auto dumped = host.write();
    REQUIRE(dumped);
    CHECK(dumped->pages == 8);
    CHECK(dumped->vcpus == 1);
    CHECK(dumped->skipped == 0);
    CHECK(dumped->complete);
    const Bytes core = host.content();
    const auto header = at<Elf64_Ehdr>(core, 0);
    CHECK(header.e_type == ET_CORE);
    CHECK(header.e_phnum == 3); // notes, code, data
    for (unsigned i = 0; i < 8; ++i)
        CHECK(byte_at(core, code + i * page_size + 5) == (i == 1 ? '\0' : static_cast<char>('a' + 8 + i)));
    CHECK(byte_at(core, code + 8 * page_size) == '?');
    const auto text = at<Elf64_Phdr>(core, header.e_phoff + sizeof(Elf64_Phdr));
    CHECK(text.p_flags == (PF_R | PF_X));
    CHECK(text.p_paddr == 8 * page_size);
    CHECK(at<Elf64_Phdr>(core, header.e_phoff + 2 * sizeof(Elf64_Phdr)).p_flags == (PF_R | PF_W));

    const auto note = at<Elf64_Phdr>(core, header.e_phoff);
    const auto status = at<elf_prstatus>(core, note.p_offset + sizeof(Elf64_Nhdr) + 8);
    user_regs_struct registers{};
    std::memcpy(&registers, &status.pr_reg, sizeof registers);
    CHECK(registers.rip == code + 16);
    CHECK(registers.rsp == code + 0x4ff8);
    CHECK(registers.gs_base == 0x1234);
    CHECK(status.pr_pid == 1);

    struct stat found{};
    REQUIRE(::stat(host.file.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
}

TEST_CASE("a core for crash has the sections of xl dump-core", "[debug]") {
    Host host;
    REQUIRE(host.write(CoreFormat::crash));
    const Bytes core = host.content();
    auto found = sections(core);
    CHECK(at<Elf64_Ehdr>(core, 0).e_phnum == 0);
    CHECK(found[".xen_prstatus"].sh_size == sizeof(vcpu_guest_context_t));
    CHECK(at<vcpu_guest_context_t>(core, found[".xen_prstatus"].sh_offset).user_regs.rip == code + 16);
    CHECK(found[".xen_shared_info"].sh_size == page_size);
    REQUIRE(found[".xen_p2m"].sh_size == 8 * 16);
    REQUIRE(found[".xen_pages"].sh_size == 8 * page_size);
    for (unsigned i = 0; i < 8; ++i) {
        CHECK(at<std::uint64_t>(core, found[".xen_p2m"].sh_offset + i * 16) == 8 + i);
        CHECK(at<std::uint64_t>(core, found[".xen_p2m"].sh_offset + i * 16 + 8) == host.frames[8 + i]);
        CHECK(at<char>(core, found[".xen_pages"].sh_offset + i * page_size + 7) ==
              (i == 1 ? '\0' : static_cast<char>('a' + 8 + i)));
    }
    const auto note = found[".note.Xen"].sh_offset + 16 + 16; // NONE has no content
    CHECK(at<std::uint32_t>(core, note - 16 + 8) == XEN_ELFNOTE_DUMPCORE_HEADER);
    CHECK(at<std::uint64_t>(core, note) == 0xf00febed);
    CHECK(at<std::uint64_t>(core, note + 16) == 8);
}

TEST_CASE("pages of others are left out of a core, and told", "[debug]") {
    Host host;
    const auto other = host.hypervisor.create_domain({});
    REQUIRE(other);
    REQUIRE(host.hypervisor.set_max_memory(*other, 64));
    const auto strange = *host.hypervisor.populate(*other, Pfn(0), 1);
    host.entry(3, 2, strange[0] << 12 | present);
    const auto dumped = host.write();
    REQUIRE(dumped);
    CHECK(dumped->skipped == 1);
    CHECK(dumped->pages == 7);
    CHECK(byte_at(host.content(), code + 2 * page_size) == '?');
}

TEST_CASE("page tables that lead in circles end, and a page is written once", "[debug]") {
    Host host;
    for (unsigned i = 0; i < 512; ++i) host.entry(0, i, host.frames[0] << 12 | present);
    const auto dumped = host.write();
    REQUIRE(dumped);
    CHECK_FALSE(dumped->complete);
    CHECK(dumped->pages == 1);
}

TEST_CASE("a page at very many addresses does not crowd out the others", "[debug]") {
    Host host;
    for (unsigned i = 0; i < 512; ++i) host.entry(2, i, host.frames[3] << 12 | present);
    REQUIRE(host.write());
    CHECK(at<Elf64_Ehdr>(host.content(), 0).e_phnum == 1 + 2 * 16);
    CHECK(host.content().size() == 9 * page_size);
}

TEST_CASE("the control domain can't be dumped", "[debug]") {
    Host host;
    const auto dumped = dump(host.hypervisor, dom0_id, CoreFormat::gdb, host.file, false, {});
    REQUIRE_FALSE(dumped);
    CHECK(dumped.error().kind == base::ErrorKind::usage);
}

TEST_CASE("an existing file is replaced only when asked for", "[debug]") {
    Host host;
    std::ofstream(host.file) << "mine";
    const auto dumped = host.write();
    REQUIRE_FALSE(dumped);
    CHECK(dumped.error().kind == base::ErrorKind::conflict);
    CHECK(host.content().size() == 4);
    REQUIRE(host.write(CoreFormat::gdb, true));
    CHECK(host.content().size() > page_size);
}

TEST_CASE("what stands where a core is begun is not written to", "[debug]") {
    Host host;
    const std::string other = host.folder / "other";
    std::ofstream(other) << "others'";
    SECTION("a file that others have open") { fs::create_hard_link(other, host.file + ".partial"); }
    SECTION("a link") { fs::create_symlink(other, host.file + ".partial"); }
    REQUIRE(host.write());
    CHECK(fs::file_size(other) == 7);
}

TEST_CASE("a core that can't be written is refused", "[debug]") {
    Host host;
    const auto dumped = dump(host.hypervisor, host.id, CoreFormat::gdb, host.file + "/missing/core", false, {});
    REQUIRE_FALSE(dumped);
    CHECK(dumped.error().what.find("can't write") != std::string::npos);
}

TEST_CASE("whatever call fails, the guest goes on and no file is left", "[debug]") {
    for (bool failed = true; failed;) {
        static unsigned n = 0;
        Host host;
        host.port.fail_call(++n, Errno::EFAULT);
        const auto dumped = host.write();
        failed = host.port.failed();
        CHECK(fs::exists(host.file) == dumped.has_value());
        if (failed && dumped) host.domain.pauses = 0; // nobody can be told when going on itself fails
        CHECK((failed || dumped));
    }
    Host host;
    const auto gone = dump(host.hypervisor, DomId(99), CoreFormat::gdb, host.file, true, {});
    REQUIRE_FALSE(gone);
    CHECK(gone.error().kind == base::ErrorKind::not_found);
}

TEST_CASE("a walk leaves the hypervisor's addresses and large entries out", "[debug]") {
    std::map<std::uint64_t, Table> tables;
    tables[1][256] = tables[1][271] = 2 << 12 | present;
    tables[1][272] = 2 << 12 | present;
    tables[2][0] = 3 << 12 | present;
    tables[2][1] = 3 << 12 | present | 1 << 7;
    tables[3][0] = 4 << 12 | present;
    tables[4][5] = 77ull << 12 | present | writable;
    PageWalk walk(
        [&](std::uint64_t frame) { return tables.contains(frame) ? std::optional(tables[frame]) : std::nullopt; }, 100,
        1000);
    walk.add(1);
    CHECK(walk.complete());
    CHECK(walk.take() == std::vector<MappedPage>{{0xffff880000005000, 77, true, true}});
    walk.add(9);
    CHECK_FALSE(walk.complete());
}

TEST_CASE("a walk ends when it has found enough", "[debug]") {
    Table every{};
    every.fill(1 << 12 | present);
    PageWalk walk([&](std::uint64_t) { return std::optional(every); }, 1'000'000, 5000);
    walk.add(1);
    CHECK_FALSE(walk.complete());
    const auto pages = walk.take();
    CHECK(pages.size() >= 5000);
    CHECK(pages.size() < 5000 + 512);
}
