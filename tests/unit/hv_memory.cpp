// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <random>

#include "fake_port.hpp"
#include "tests/system/hv_probe/calls.hpp"

using namespace streak;
using namespace streak::hv;
using streak::test::FakePort;

namespace {

struct Host {
    FakePort port;
    Hypervisor hypervisor{port};
    DomId id = *hypervisor.create_domain({});
    test::FakeDomain& domain = *port.find(id);

    Host() { REQUIRE(hypervisor.set_max_memory(id, 256 << 10)); }
    ~Host() { CHECK(port.buffers() == 0); }

    [[nodiscard]] unsigned populates() const { return port.calls(__HYPERVISOR_memory_op, XENMEM_populate_physmap); }
    [[nodiscard]] bool knows(const std::vector<std::uint64_t>& frames, std::uint64_t first) const {
        for (std::size_t i = 0; i < frames.size(); ++i)
            if (domain.p2m.at(first + i) != frames[i]) return false;
        return domain.p2m.size() == frames.size();
    }
};

template <class T> Errno error_of(const Result<T>& result) { return result ? Errno(0) : result.error(); }

/// A domain with page tables that map `pages` pages from `base` on; every second one read-only.
struct Guest : Host {
    static constexpr std::uint64_t base = 0xffffffff80000000, pages = 300;
    std::vector<std::uint64_t> frames;

    Guest() {
        frames = *hypervisor.populate(id, Pfn(0), pages + 4);
        entries(root())[511] = entry(frames[pages + 1], 3);
        entries(frames[pages + 1])[510] = entry(frames[pages + 2], 3);
        entries(frames[pages + 2])[0] = entry(frames[pages + 3], 3);
        for (std::uint64_t i = 0; i < pages; ++i) entries(frames[pages + 3])[i] = entry(frames[i], 1 + i % 2 * 2);
    }
    [[nodiscard]] std::uint64_t root() const { return frames[pages]; }
    [[nodiscard]] std::uint64_t* entries(std::uint64_t mfn) const {
        return reinterpret_cast<std::uint64_t*>(port.frame(mfn).data());
    }
    static std::uint64_t entry(std::uint64_t mfn, std::uint64_t flags) { return mfn << 12 | flags; }

    [[nodiscard]] std::vector<std::byte> contents(std::uint64_t address, std::size_t size) const {
        std::vector<std::byte> all;
        while (all.size() < size) {
            const auto page = port.translate(domain, root(), address + all.size());
            const auto part = page.first(std::min(page.size(), size - all.size()));
            all.insert(all.end(), part.begin(), part.end());
        }
        return all;
    }
};

std::vector<std::byte> random_bytes(std::size_t size) {
    std::mt19937 random(42);
    std::vector<std::byte> bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
}

constexpr std::size_t some_bytes = 200 * 4096 + 123;
constexpr std::uint64_t somewhere = Guest::base + 5 * 4096 + 77;

} // namespace

TEST_CASE("memory comes in large pieces where they fit", "[hv]") {
    Host host;
    const auto frames = host.hypervisor.populate(host.id, Pfn(0), 8192);
    REQUIRE(frames);
    CHECK(host.knows(*frames, 0));
    CHECK(host.populates() == 1);
    CHECK(probe::current_reservation(host.hypervisor, host.id) == 8192u);
}

TEST_CASE("what is not aligned or too short comes page by page", "[hv]") {
    Host host;
    const auto frames = host.hypervisor.populate(host.id, Pfn(500), 12 + 1024 + 7);
    REQUIRE(frames);
    CHECK(frames->size() == 1043);
    CHECK(host.knows(*frames, 500));
    CHECK(host.populates() == 3);
}

TEST_CASE("without large pieces, memory comes page by page", "[hv]") {
    Host host;
    host.port.large_extents = false;
    const auto frames = host.hypervisor.populate(host.id, Pfn(0), 4096);
    REQUIRE(frames);
    CHECK(host.knows(*frames, 0));
    CHECK(host.populates() == 1 + 4096 / 1024);
}

TEST_CASE("when large pieces run out halfway, the rest comes page by page", "[hv]") {
    FakePort port(2048);
    Hypervisor hypervisor(port);
    const DomId id = *hypervisor.create_domain({});
    REQUIRE(hypervisor.set_max_memory(id, 1 << 20));
    const std::uint64_t free = port.free_pages();
    const auto frames = hypervisor.populate(id, Pfn(0), free);
    REQUIRE(frames);
    CHECK(frames->size() == free);
    CHECK(port.free_pages() == 0);
    CHECK(error_of(hypervisor.populate(id, Pfn(free), 1)) == Errno::ENOMEM);
    CHECK(port.find(id)->frames.size() == free);
    REQUIRE(hypervisor.destroy_domain(id));
    CHECK(port.free_pages() == free + 2);
}

TEST_CASE("a domain gets no more than it may have", "[hv]") {
    Host host;
    REQUIRE(host.hypervisor.set_max_memory(host.id, 40));
    CHECK(host.hypervisor.populate(host.id, Pfn(0), 10));
    CHECK(error_of(host.hypervisor.populate(host.id, Pfn(10), 1)) == Errno::ENOMEM);
    CHECK(host.hypervisor.populate(host.id, Pfn(10), 0)->empty());
}

TEST_CASE("a claim keeps memory for one domain", "[hv]") {
    FakePort port(2048);
    Hypervisor hypervisor(port);
    const DomId first = *hypervisor.create_domain({}), second = *hypervisor.create_domain({});
    REQUIRE(hypervisor.set_max_memory(first, 1 << 20));
    REQUIRE(hypervisor.set_max_memory(second, 1 << 20));
    REQUIRE(hypervisor.claim_pages(first, 1000));
    CHECK(hypervisor.host_info()->outstanding_pages == 1000);
    CHECK(error_of(hypervisor.claim_pages(second, 1000)) == Errno::ENOMEM);
    CHECK(error_of(hypervisor.populate(second, Pfn(0), 1000)) == Errno::ENOMEM);
    CHECK(hypervisor.populate(first, Pfn(0), 1000));
    CHECK(hypervisor.host_info()->outstanding_pages == 0);
    CHECK(hypervisor.claim_pages(first, 0));
}

TEST_CASE("mappings show the domain's own pages and end with their owners", "[hv]") {
    Host host;
    const auto frames = *host.hypervisor.populate(host.id, Pfn(0), 3);
    {
        const std::uint64_t wanted[] = {frames[2], frames[0]};
        auto mapping = host.hypervisor.map(host.id, wanted);
        REQUIRE(mapping);
        CHECK(mapping->bytes().size() == 2 * page_size);
        mapping->as<std::uint64_t>(8) = 0x1234;
        CHECK(host.port.frame(frames[2])[9] == std::byte{0x12});
        const auto moved = std::move(*mapping);
        CHECK(host.port.mappings() == 1);
        CHECK(moved.as<std::uint64_t>(8) == 0x1234);
        const auto read_only = host.hypervisor.map(host.id, wanted, false);
        REQUIRE(read_only);
        CHECK(read_only->as<std::uint64_t>(8) == 0x1234);
    }
    CHECK(host.port.mappings() == 0);
    const std::uint64_t foreign[] = {frames[0], 0x10000};
    CHECK(error_of(host.hypervisor.map(host.id, foreign)) == Errno::EINVAL);
}

TEST_CASE("a domain that is destroyed while mapped stays until it is unmapped", "[hv]") {
    Host host;
    const auto before = host.port.free_pages();
    const auto frames = *host.hypervisor.populate(host.id, Pfn(0), 3);
    {
        const auto mapping = host.hypervisor.map(host.id, frames);
        REQUIRE(mapping);
        REQUIRE(host.hypervisor.destroy_domain(host.id));
        CHECK(host.hypervisor.info(host.id)->dying);
        CHECK(host.hypervisor.info(host.id)->pages == 3);
    }
    CHECK(error_of(host.hypervisor.info(host.id)) == Errno::ESRCH);
    CHECK(host.port.free_pages() == before + 2);
}

TEST_CASE("the grant table of a domain is one page", "[hv]") {
    Host host;
    const auto table = host.hypervisor.map_grant_table(host.id);
    REQUIRE(table);
    table->as<grant_entry_v1_t>(sizeof(grant_entry_v1_t)) = {.flags = GTF_permit_access, .domid = 0, .frame = 77};
    const auto* const entries =
        reinterpret_cast<const grant_entry_v1_t*>(host.port.frame(host.domain.grant_frame).data());
    CHECK(entries[1].frame == 77);
    CHECK(error_of(host.hypervisor.map_grant_table(dom0_id)) == Errno::EPERM);
}

TEST_CASE("bytes are copied to a guest's addresses and back, in one call", "[hv]") {
    Guest guest;
    const auto bytes = random_bytes(some_bytes);
    guest.port.forget_calls();
    REQUIRE(guest.hypervisor.write_guest(guest.id, Mfn(guest.root()), somewhere, bytes));
    CHECK(guest.port.calls() == 1);
    CHECK((guest.contents(somewhere, some_bytes) == bytes));
    std::vector<std::byte> back(some_bytes);
    REQUIRE(probe::read_guest(guest.hypervisor, guest.id, Mfn(guest.root()), somewhere, back));
    CHECK(guest.port.calls() == 2);
    CHECK((back == bytes));
    CHECK(guest.hypervisor.write_guest(guest.id, Mfn(guest.root()), somewhere, {}));
}

TEST_CASE("memory of the caller that isn't present goes through a buffer", "[hv]") {
    Guest guest;
    const auto bytes = random_bytes(some_bytes);
    SECTION("none of it") { guest.port.direct_memory = false; }
    SECTION("some pages") {
        for (const unsigned page : {0, 1, 50, 200})
            guest.port.absent.insert(reinterpret_cast<std::uint64_t>(bytes.data()) / page_size + page);
    }
    REQUIRE(guest.hypervisor.write_guest(guest.id, Mfn(guest.root()), somewhere, bytes));
    CHECK((guest.contents(somewhere, some_bytes) == bytes));
}

TEST_CASE("addresses of a guest that are not mapped are refused", "[hv]") {
    Guest guest;
    const auto bytes = random_bytes(2 * page_size);
    const auto write = [&](std::uint64_t root, std::uint64_t address) {
        return error_of(guest.hypervisor.write_guest(guest.id, Mfn(root), address, bytes));
    };
    CHECK(write(guest.root(), 0x1000) == Errno::EFAULT);
    CHECK(write(guest.root(), Guest::base + (Guest::pages - 1) * page_size) == Errno::EFAULT);
    CHECK(write(guest.frames[3], Guest::base) == Errno::EFAULT);
    CHECK(write(0x10001, Guest::base) == Errno::EFAULT); // of another domain
}

TEST_CASE("a root is pinned when its tables are valid", "[hv]") {
    Guest guest;
    REQUIRE(guest.hypervisor.pin_root(guest.id, Mfn(guest.root())));
    CHECK(guest.domain.pinned == std::set<std::uint64_t>{guest.root()});
    SECTION("a table that the guest may write") {
        guest.entries(guest.frames[Guest::pages + 3])[5] = Guest::entry(guest.frames[Guest::pages + 1], 3);
        CHECK(error_of(guest.hypervisor.pin_root(guest.id, Mfn(guest.root()))) == Errno::EINVAL);
    }
    SECTION("a page of another domain") {
        guest.entries(guest.frames[Guest::pages + 3])[5] = Guest::entry(0x10000, 1);
        CHECK(error_of(guest.hypervisor.pin_root(guest.id, Mfn(guest.root()))) == Errno::EINVAL);
    }
}

TEST_CASE("a vCPU gets its state", "[hv]") {
    Guest guest;
    vcpu_guest_context_t context{};
    context.flags = VGCF_in_kernel | VGCF_online;
    context.user_regs.rip = 0x1234;
    context.ctrlreg[3] = guest.root() << 12;
    REQUIRE(guest.hypervisor.set_context(guest.id, 0, context));
    CHECK(std::memcmp(&guest.domain.contexts.at(0), &context, sizeof context) == 0);
    CHECK(error_of(guest.hypervisor.set_context(guest.id, 1, context)) == Errno::EINVAL);
    context.ctrlreg[3] = 0x10000ull << 12;
    CHECK(error_of(guest.hypervisor.set_context(guest.id, 0, context)) == Errno::EINVAL);
}

TEST_CASE("a hypercall page is written to a page of the domain's", "[hv]") {
    Guest guest;
    REQUIRE(guest.hypervisor.write_hypercall_page(guest.id, Mfn(guest.frames[7])));
    CHECK(guest.domain.hypercall_pages.contains(guest.frames[7]));
    CHECK(error_of(guest.hypervisor.write_hypercall_page(guest.id, Mfn(0x10000))) == Errno::EACCES);
}
