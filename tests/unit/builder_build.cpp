// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstring>

#include "builder/kernel_loader.hpp"
#include "builder/start_plan.hpp"
#include "builder_test_files.hpp"
#include "fake_port.hpp"

using namespace streak;
using namespace streak::builder;
using namespace builder_test;
using test::FakeDomain;
using test::FakePort;

namespace {

constexpr std::uint64_t small_kib = 8 << 10;

std::shared_ptr<const Kernel> kernel_from(const Blob& elf, const char* name = "vmlinux") {
    const Folder folder;
    KernelLoader loader(KernelCache(folder.path / "cache"), 0);
    const auto kernel = loader.load(folder.write(name, elf));
    REQUIRE(kernel);
    return *kernel;
}

Blob text_of(std::size_t bytes) {
    Blob blob(bytes);
    for (std::size_t i = 0; i < bytes; ++i) blob[i] = static_cast<std::byte>(i * 7 + i / 4096);
    return blob;
}

/// A fake hypervisor with a domain, and a request to build it.
struct Host {
    explicit Host(std::uint64_t memory_kib = small_kib, std::uint64_t host_pages = 1 << 13)
        : port(host_pages), hypervisor(port) {
        const auto created = hypervisor.create_domain({});
        REQUIRE(created);
        request.domain = *created;
        REQUIRE(hypervisor.set_max_vcpus(*created, 1));
        REQUIRE(hypervisor.set_max_memory(*created, memory_kib));
        request.memory_kib = memory_kib;
        request.store_port = *hypervisor.allocate_port(*created, dom0_id);
        request.console_port = *hypervisor.allocate_port(*created, dom0_id);
        request.command_line = "console=hvc0 quiet";
        port.forget_calls();
    }

    base::Outcome<Built> build() { return builder::build(hypervisor, request); }
    const FakeDomain& domain() { return *port.find(request.domain); }

    FakePort port;
    hv::Hypervisor hypervisor;
    Request request;
};

/// What a guest would see of itself.
class Guest {
public:
    explicit Guest(Host& host)
        : host_(host), domain_(host.domain()), context_(domain_.contexts.at(0)), root_(context_.ctrlreg[3] >> 12),
          plan_(*plan_request(host.request)), layout_(plan_.layout) {}

    std::span<std::byte> at(std::uint64_t address) const { return host_.port.translate(domain_, root_, address); }
    std::span<std::byte> page(std::uint64_t pfn) const { return host_.port.frame(domain_.p2m.at(pfn)); }
    Blob read(std::uint64_t address, std::size_t bytes) const {
        Blob all;
        while (all.size() < bytes) {
            const auto part = at(address + all.size());
            REQUIRE(!part.empty());
            all.insert(all.end(), part.begin(),
                       part.begin() + static_cast<std::ptrdiff_t>(std::min(part.size(), bytes - all.size())));
        }
        return all;
    }
    start_info_t start_info() const {
        start_info_t info;
        std::memcpy(&info, at(context_.user_regs.rsi).data(), sizeof info);
        return info;
    }
    bool may_write(std::uint64_t address) const {
        std::uint64_t table = root_;
        bool writable = true;
        for (unsigned level = 4; level != 0; --level) {
            const auto* entries = reinterpret_cast<const std::uint64_t*>(host_.port.frame(table).data());
            const auto entry = entries[address >> (12 + 9 * (level - 1)) & 511];
            writable = writable && (entry & 2) != 0;
            CHECK((entry & 4) != 0); // user
            table = (entry & 0x000ffffffffff000) >> 12;
        }
        return writable;
    }

    void check_mappings() const {
        for (std::uint64_t pfn = 0; pfn < layout_.start_pages(); ++pfn) {
            const auto address = layout_.address_of(Pfn(pfn));
            const auto found = at(address);
            if (found.data() != page(pfn).data()) FAIL("wrong page at pfn " << pfn);
            const bool table = pfn - layout_.page_tables.pfn.raw() < layout_.page_tables.pages;
            if (may_write(address) == table) FAIL("wrong access at pfn " << pfn);
        }
        CHECK(at(layout_.virt_end).empty());
        if (layout_.virt_base != 0) CHECK(at(layout_.virt_base - 1).empty());
        CHECK(at(0x700000000000).empty());
        CHECK(layout_.page_tables.address + 0 == start_info().pt_base);
        CHECK(at(start_info().pt_base).data() == host_.port.frame(root_).data());
    }
    void check_p2m() const {
        const auto frames = read(start_info().mfn_list, start_info().nr_pages * 8);
        const auto* list = reinterpret_cast<const std::uint64_t*>(frames.data());
        for (const auto& [pfn, mfn] : domain_.p2m)
            if (list[pfn] != mfn) FAIL("wrong entry of pfn " << pfn);
        if (layout_.p2m_tables.present()) {
            CHECK(start_info().first_p2m_pfn == layout_.p2m.pfn.raw());
            CHECK(start_info().nr_p2m_frames == layout_.p2m.pages + layout_.p2m_tables.pages);
            CHECK(at(layout_.p2m.end()).empty());
        } else {
            CHECK(start_info().first_p2m_pfn == 0);
        }
    }
    void check_kernel(const Blob& elf) const {
        const auto kernel = loader::read_pv_kernel(elf, loader::StartAs::dom_u);
        REQUIRE(kernel);
        CHECK(context_.user_regs.rip == kernel->entry);
        kernel->image.for_each_segment([&](const loader::Segment& segment) {
            auto wanted = Blob(segment.data.begin(), segment.data.end());
            wanted.resize(segment.mem_size); // the bss
            CHECK(read(kernel->address_of(segment), segment.mem_size) == wanted);
        });
    }
    void check_state(const Built& built) const {
        const auto info = start_info();
        CHECK(std::string_view(info.magic) == "xen-3.0-x86_64");
        CHECK(info.nr_pages == host_.request.memory_kib / 4);
        CHECK(info.shared_info == domain_.shared_info << 12);
        CHECK(std::string_view(reinterpret_cast<const char*>(info.cmd_line)) == host_.request.command_line);
        CHECK(info.store_mfn == built.store_frame.raw());
        CHECK(info.store_evtchn == host_.request.store_port.raw());
        CHECK(info.console.domU.mfn == built.console_frame.raw());
        CHECK(info.console.domU.evtchn == host_.request.console_port.raw());
        CHECK(built.pages == info.nr_pages);
        for (const auto mfn : {built.store_frame, built.console_frame})
            CHECK(std::ranges::all_of(host_.port.frame(mfn.raw()), [](std::byte b) { return b == std::byte{0}; }));

        const auto* grants = reinterpret_cast<const grant_entry_v1_t*>(host_.port.frame(domain_.grant_frame).data());
        CHECK(grants[0].frame == built.console_frame.raw());
        CHECK(grants[1].frame == built.store_frame.raw());
        for (int i = 0; i < 2; ++i) {
            CHECK(grants[i].flags == GTF_permit_access);
            CHECK(grants[i].domid == 0);
        }
        CHECK(grants[2].flags == 0);

        CHECK(domain_.pinned == std::set{root_});
        CHECK(domain_.contexts.size() == 1);
        CHECK(context_.flags == (VGCF_in_kernel | VGCF_online));
        CHECK(context_.user_regs.rsp == layout_.stack.end());
        CHECK(may_write(context_.user_regs.rsp - 8));
        CHECK(context_.user_regs.rflags == 0x200);
        CHECK(context_.user_regs.cs == 0xe033);
        CHECK(context_.user_regs.ss == 0xe02b);
        CHECK((context_.kernel_ss == 0xe02b && context_.kernel_sp == context_.user_regs.rsp));
        CHECK((context_.user_regs.rax == 0 && context_.user_regs.ds == 0 && context_.gdt_ents == 0));
        CHECK(domain_.memory_map_bytes == std::max(host_.request.max_memory_kib, host_.request.memory_kib) * 1024);
    }
    void check_initrd() const {
        const auto info = start_info();
        CHECK(info.mod_len == host_.request.initrd.size());
        const bool by_pfn = (info.flags & SIF_MOD_START_PFN) != 0;
        CHECK(by_pfn == layout_.initrd_by_pfn);
        Blob found;
        for (std::uint64_t i = 0; found.size() < info.mod_len; ++i) {
            const auto from = by_pfn ? page(info.mod_start + i) : at(info.mod_start + i * page_size);
            found.insert(found.end(), from.begin(), from.end());
        }
        found.resize(info.mod_len);
        CHECK(std::ranges::equal(found, host_.request.initrd));
        for (std::uint64_t i = 0; i < plan_.scratch.pages; ++i)
            CHECK(
                std::ranges::all_of(page(plan_.scratch.pfn.raw() + i), [](std::byte b) { return b == std::byte{0}; }));
    }

private:
    Host& host_;
    const FakeDomain& domain_;
    const vcpu_guest_context_t& context_;
    std::uint64_t root_;
    StartPlan plan_;
    const loader::PvLayout& layout_;
};

void check_guest(Host& host, const Blob& elf) {
    const auto built = host.build();
    if (!built) FAIL(built.error().text());
    const Guest guest(host);
    guest.check_mappings();
    guest.check_p2m();
    guest.check_kernel(elf);
    guest.check_state(*built);
    if (!host.request.initrd.empty()) guest.check_initrd();
    CHECK(host.port.mappings() == 0);
    CHECK(host.port.buffers() == 0);
}

/// Debian's kernel, where the tests unpacked it or the host has it.
std::optional<fs::path> debian_kernel() {
    std::error_code ignored;
    for (const char* folder : {"build/debian", "/boot"})
        for (fs::recursive_directory_iterator at(folder, fs::directory_options::follow_directory_symlink, ignored), end;
             at != end; at.increment(ignored))
            if (at->path().filename().string().starts_with("vmlinuz-")) return at->path();
    return std::nullopt;
}

} // namespace

TEST_CASE("builder: a whole guest", "[builder][hv]") {
    auto elf = linux_like();
    Host host;
    SECTION("as it comes") {}
    SECTION("frame list at INIT_P2M") { elf.number(XEN_ELFNOTE_INIT_P2M, 0x8000000000); }
    SECTION("frames in no order") {
        elf.number(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
        host.port.large_extents = false;
    }
    SECTION("virtual base 0") { elf = linux_like(0); }
    SECTION("room to grow") { host.request.max_memory_kib = 4 * small_kib; }
    SECTION("an empty command line") { host.request.command_line = ""; }
    SECTION("the longest command line") { host.request.command_line = std::string(MAX_GUEST_CMDLINE - 1, 'x'); }
    SECTION("the caller's memory is not present") { host.port.direct_memory = false; }
    const auto file = elf.build();
    host.request.kernel = kernel_from(file);
    check_guest(host, file);
}

TEST_CASE("builder: initial RAM disks, mapped and not", "[builder][hv]") {
    const auto initrd = text_of(1'234'567);
    Host host;
    host.request.initrd = initrd;
    auto elf = linux_like();
    SECTION("mapped") {}
    SECTION("by frame number") { elf.number(XEN_ELFNOTE_MOD_START_PFN, 1); }
    SECTION("by frame number, frame list elsewhere") {
        elf.number(XEN_ELFNOTE_MOD_START_PFN, 1).number(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
        host.port.large_extents = false;
    }
    SECTION("a single byte") {
        elf.number(XEN_ELFNOTE_MOD_START_PFN, 1);
        host.request.initrd = host.request.initrd.first(1);
    }
    const auto file = elf.build();
    host.request.kernel = kernel_from(file);
    check_guest(host, file);
}

TEST_CASE("builder: kernels with few notes", "[builder][hv]") {
    ElfBuilder elf;
    elf.load(0x1000, 0x1000, 0x3000, pattern(0x2000))
        .text(XEN_ELFNOTE_GUEST_OS, "GRUB")
        .text(XEN_ELFNOTE_LOADER, "generic");
    elf.entry = 0x1000;
    SECTION("entry of the ELF header") {}
    SECTION("offset of physical addresses") {
        elf = ElfBuilder{};
        elf.load(0x401000, 0x10001000, 0x3000, pattern(0x2000))
            .number(XEN_ELFNOTE_VIRT_BASE, 0x400000)
            .number(XEN_ELFNOTE_PADDR_OFFSET, 0x10000000)
            .number(XEN_ELFNOTE_ENTRY, 0x401000);
    }
    const auto file = elf.build();
    Host host(4 << 10);
    host.request.kernel = kernel_from(file);
    check_guest(host, file);
}

TEST_CASE("builder: the hypercall page", "[builder][hv]") {
    auto elf = linux_like();
    elf.number(XEN_ELFNOTE_HYPERCALL_PAGE, 0xffffffff80110000);
    Host host;
    host.request.kernel = kernel_from(elf.build());
    REQUIRE(host.build());
    CHECK(host.domain().hypercall_pages == std::set{host.domain().p2m.at(0x110)});
}

TEST_CASE("builder: the least memory is the least", "[builder][hv]") {
    const auto initrd = text_of(700'000);
    for (const bool by_pfn : {false, true}) {
        auto elf = linux_like();
        if (by_pfn) elf.number(XEN_ELFNOTE_MOD_START_PFN, 1).number(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
        const auto file = elf.build();
        const auto kernel = kernel_from(file);
        const auto least = least_memory_kib(*kernel, initrd.size());
        CHECK(least_memory_kib(*kernel, 0) <= least);
        Host host(least);
        host.request.kernel = kernel;
        host.request.initrd = initrd;
        check_guest(host, file);
        host.request.memory_kib = least - 4;
        CHECK(!check(host.request));
    }
}

TEST_CASE("builder: what can't be built is refused before anything is done", "[builder][hv]") {
    Host host;
    const auto kernel = kernel_from(linux_like().build());
    const auto initrd = text_of(8 << 20);
    host.request.kernel = kernel;
    std::string expected, what;
    SECTION("no memory") { host.request.memory_kib = 3, what = "no memory"; }
    SECTION("too little memory") {
        host.request.memory_kib = 2048;
        what = "too little memory for the kernel", expected = "at least 4 MiB";
    }
    SECTION("initrd too large") {
        host.request.initrd = initrd;
        what = "initial RAM disk of 8 MiB", expected = "at least 12 MiB";
    }
    SECTION("command line too long") {
        host.request.command_line = std::string(MAX_GUEST_CMDLINE, 'x');
        what = "command line", expected = "at most 1023 bytes";
    }
    SECTION("the frame list meets the kernel") {
        auto elf = linux_like();
        elf.number(XEN_ELFNOTE_INIT_P2M, 0xffffffff80200000);
        host.request.kernel = kernel_from(elf.build());
        what = "address range", expected = "INIT_P2M";
        CHECK(least_memory_kib(*host.request.kernel, 0) == 0);
    }
    const auto refused = host.build();
    REQUIRE(!refused);
    CHECK(refused.error().kind == base::ErrorKind::invalid);
    CHECK(refused.error().what.find(what) != std::string::npos);
    CHECK(refused.error().expected.find(expected) != std::string::npos);
    CHECK(check(host.request) == std::unexpected(refused.error()));
    CHECK(host.port.calls() == 0);
}

TEST_CASE("builder: each hypercall may fail", "[builder][hv]") {
    auto elf = linux_like();
    elf.number(XEN_ELFNOTE_MOD_START_PFN, 1).number(XEN_ELFNOTE_HYPERCALL_PAGE, 0xffffffff80110000);
    const auto kernel = kernel_from(elf.build());
    const auto initrd = text_of(100'000);
    unsigned nth = 1;
    for (;; ++nth) {
        Host host;
        host.request.kernel = kernel;
        host.request.initrd = initrd;
        host.port.fail_call(nth, Errno::EPERM);
        const auto built = host.build();
        CHECK(host.port.mappings() == 0);
        CHECK(host.port.buffers() == 0);
        if (!host.port.failed()) {
            CHECK(built);
            break;
        }
        REQUIRE(!built);
        CHECK(built.error().kind == base::ErrorKind::refused);
        CHECK(built.error().what.find("the guest can't be built: ") == 0);
        CHECK(built.error().found.find("EPERM") != std::string::npos);
        // Nothing but the domain has to be given back.
        const auto free = host.port.free_pages() + host.domain().frames.size();
        REQUIRE(host.hypervisor.destroy_domain(host.request.domain));
        CHECK(host.port.free_pages() == free + 2);
    }
    CHECK(nth == 15); // this many calls, and one that would be too many
}

TEST_CASE("builder: too little memory in the host", "[builder][hv]") {
    const auto kernel = kernel_from(linux_like().build());
    SECTION("in all") {
        Host host(64 << 10, 1 << 13);
        host.request.kernel = kernel;
        const auto built = host.build();
        REQUIRE(!built);
        CHECK(built.error().kind == base::ErrorKind::resources);
        CHECK(built.error().what.find("free memory") != std::string::npos);
        CHECK(built.error().expected == "65536 KiB");
        CHECK(built.error().found ==
              std::to_string((host.port.free_pages() + host.domain().frames.size()) * 4) + " KiB");
    }
    SECTION("for this domain") {
        Host host;
        host.request.kernel = kernel;
        host.request.memory_kib = small_kib + 1024;
        const auto built = host.build();
        REQUIRE(!built);
        CHECK(built.error().kind == base::ErrorKind::resources);
        CHECK(built.error().what.find("limit") != std::string::npos);
        CHECK(built.error().expected == "8192 KiB");
        CHECK(built.error().found == "9216 KiB");
    }
    SECTION("for hypercalls") {
        Host host;
        host.request.kernel = kernel;
        host.port.buffers_left = false;
        const auto built = host.build();
        REQUIRE(!built);
        CHECK(built.error().kind == base::ErrorKind::resources);
        CHECK(built.error().found.find("ENOMEM") != std::string::npos);
    }
}

TEST_CASE("builder: a kernel that is written meanwhile", "[builder][hv]") {
    const Folder folder;
    KernelLoader loader(KernelCache(folder.path / "cache"), 0);
    const auto kernel = loader.load(folder.write("vmlinux", linux_like().build()));
    REQUIRE(kernel);
    folder.write("vmlinux", linux_like(0xffffffff80000000, 3).build());
    Host host;
    host.request.kernel = *kernel;
    const auto built = host.build();
    REQUIRE(!built);
    CHECK(built.error().kind == base::ErrorKind::conflict);
    CHECK(host.domain().contexts.empty());
}

TEST_CASE("builder: Debian's kernel in 128 MiB", "[builder][hv][boot]") {
    const auto file = debian_kernel();
    if (!file) {
        WARN("no Debian kernel at hand: skipped");
        return;
    }
    const Folder folder;
    KernelLoader loader(KernelCache(folder.path / "cache"), 0);
    const auto kernel = loader.load(*file);
    if (!kernel) FAIL(kernel.error().text());
    CHECK((*kernel)->plan().description == "linux 2.6");
    CHECK(least_memory_kib(**kernel, 0) / 1024 == 76);

    const auto initrd = text_of(4'530'176);
    Host host(128 << 10, 1 << 16);
    host.request.kernel = *kernel;
    host.request.initrd = initrd;
    check_guest(host, [&] {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(folder.path / "cache", ignored))
            if (entry.file_size(ignored) > (32u << 20)) {
                Blob content(entry.file_size());
                std::ifstream(entry.path(), std::ios::binary)
                    .read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(content.size()));
                return content;
            }
        return Blob{};
    }());
    // privcmd maps foreign frames 16 by 16; the tables are the only ones.
    const auto layout = plan_request(host.request)->layout;
    const auto mapped = layout.page_tables.pages + layout.p2m_tables.pages + 6;
    CHECK(host.port.foreign_maps() == 1);
    INFO(host.port.calls() << " calls, " << mapped << " frames mapped");
    CHECK(host.port.calls() + mapped / 16 <= 50);
}
