// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <thread>

#include "fake_port.hpp"
#include "tests/system/hv_probe/calls.hpp"

using namespace streak;
using namespace streak::hv;
using streak::test::FakePort;

namespace {

/// A hypervisor with one domain that has memory to come.
struct Host {
    FakePort port;
    Hypervisor hypervisor{port};
    DomId id = *hypervisor.create_domain({.handle = base::Uuid::random(), .max_vcpus = 2});
    test::FakeDomain& domain = *port.find(id);

    Host() { REQUIRE(hypervisor.set_max_memory(id, 64 << 10)); }
    ~Host() { CHECK(port.buffers() == 0); }
};

constexpr DomId nobody(77);

template <class T> Errno error_of(const Result<T>& result) { return result ? Errno(0) : result.error(); }

} // namespace

TEST_CASE("a domain is created as asked for", "[hv]") {
    FakePort port;
    Hypervisor hypervisor(port);
    const base::Uuid handle = base::Uuid::random();
    const auto id = hypervisor.create_domain({.handle = handle,
                                              .max_vcpus = 3,
                                              .max_event_ports = 255,
                                              .max_grant_frames = 8,
                                              .max_maptrack_frames = 16,
                                              .ssid = 12});
    REQUIRE(id);
    const auto* const domain = port.find(*id);
    REQUIRE(domain != nullptr);
    CHECK(domain->handle == handle);
    CHECK(domain->max_vcpus == 3);
    CHECK(domain->max_event_ports == 255);
    CHECK(domain->max_grant_frames == 8);
    CHECK(domain->max_maptrack_frames == 16);
    CHECK(domain->ssid == 12);
    CHECK(domain->pauses == 1);

    const auto other = hypervisor.create_domain({});
    REQUIRE(other);
    CHECK(port.find(*other)->max_grant_frames == -1);
    CHECK(port.find(*other)->max_maptrack_frames == -1);
    CHECK(port.calls(__HYPERVISOR_domctl) == 2);
    CHECK(error_of(hypervisor.create_domain({.handle = {}, .max_vcpus = 0})) == Errno::EINVAL);
}

TEST_CASE("destroy goes on until all is returned", "[hv]") {
    Host host;
    const auto before = host.port.free_pages();
    REQUIRE(host.hypervisor.populate(host.id, Pfn(0), 100));
    host.port.destroy_rounds = 3;
    REQUIRE(host.hypervisor.destroy_domain(host.id));
    CHECK(host.port.calls(__HYPERVISOR_domctl, XEN_DOMCTL_destroydomain) == 4);
    CHECK(host.port.find(host.id) == nullptr);
    CHECK(host.port.free_pages() == before + 2); // and the hypervisor's own pages for it
    CHECK(error_of(host.hypervisor.destroy_domain(host.id)) == Errno::ESRCH);
    CHECK(error_of(host.hypervisor.destroy_domain(dom0_id)) == Errno::EINVAL);
}

TEST_CASE("what is set once arrives", "[hv]") {
    Host host;
    auto& hv = host.hypervisor;
    REQUIRE(hv.pause(host.id));
    CHECK(host.domain.pauses == 2);
    REQUIRE(hv.unpause(host.id));
    REQUIRE(hv.unpause(host.id));
    CHECK(host.domain.pauses == 0);
    CHECK(error_of(hv.unpause(host.id)) == Errno::EINVAL);
    const base::Uuid handle = base::Uuid::random();
    REQUIRE(hv.set_handle(host.id, handle));
    CHECK(host.domain.handle == handle);
    REQUIRE(hv.set_max_vcpus(host.id, 2));
    CHECK(error_of(hv.set_max_vcpus(host.id, 3)) == Errno::EINVAL);
    REQUIRE(hv.set_max_memory(host.id, 8192));
    CHECK(host.domain.max_pages == 2048);
    REQUIRE(hv.set_time_offset(host.id, -3600));
    CHECK(host.domain.time_offset == -3600);
    REQUIRE(hv.set_tsc_mode(host.id, 2));
    CHECK(host.domain.tsc_mode == 2);
    CHECK(error_of(hv.set_tsc_mode(host.id, 3)) == Errno::EINVAL);
    REQUIRE(probe::send_nmi(hv, host.id, 1));
    CHECK(host.domain.nmis == 1);
    CHECK(error_of(probe::send_nmi(hv, host.id, 2)) == Errno::ESRCH);
    REQUIRE(hv.set_memory_map(host.id, 64 << 20));
    CHECK(host.domain.memory_map_bytes == 64 << 20);
}

TEST_CASE("every operation on a domain that isn't there says so", "[hv]") {
    Host host;
    auto& hv = host.hypervisor;
    const std::uint64_t frames[] = {0x10000};
    CHECK(error_of(hv.destroy_domain(nobody)) == Errno::ESRCH);
    CHECK(error_of(hv.pause(nobody)) == Errno::ESRCH);
    CHECK(error_of(hv.unpause(nobody)) == Errno::ESRCH);
    CHECK(error_of(hv.set_handle(nobody, {})) == Errno::ESRCH);
    CHECK(error_of(hv.set_max_vcpus(nobody, 1)) == Errno::ESRCH);
    CHECK(error_of(hv.set_max_memory(nobody, 1)) == Errno::ESRCH);
    CHECK(error_of(hv.set_time_offset(nobody, 1)) == Errno::ESRCH);
    CHECK(error_of(hv.set_tsc_mode(nobody, 1)) == Errno::ESRCH);
    CHECK(error_of(probe::send_nmi(hv, nobody, 0)) == Errno::ESRCH);
    CHECK(error_of(hv.info(nobody)) == Errno::ESRCH);
    CHECK(error_of(hv.vcpu_info(nobody, 0)) == Errno::ESRCH);
    CHECK(error_of(hv.set_context(nobody, 0, {})) == Errno::ESRCH);
    CHECK(error_of(hv.set_affinity(nobody, 0, {true})) == Errno::ESRCH);
    CHECK(error_of(hv.affinity(nobody, 0, 1)) == Errno::ESRCH);
    CHECK(error_of(hv.set_share(nobody, {})) == Errno::ESRCH);
    CHECK(error_of(probe::share(hv, nobody)) == Errno::ESRCH);
    CHECK(error_of(hv.claim_pages(nobody, 1)) == Errno::ESRCH);
    CHECK(error_of(hv.populate(nobody, Pfn(0), 1)) == Errno::ESRCH);
    CHECK(error_of(hv.set_memory_map(nobody, 1)) == Errno::ESRCH);
    CHECK(error_of(hv.map(nobody, frames)) == Errno::ESRCH);
    CHECK(error_of(hv.map_grant_table(nobody)) == Errno::ESRCH);
    CHECK(error_of(hv.write_guest(nobody, Mfn(1), 0, std::as_bytes(std::span(frames)))) == Errno::ESRCH);
    CHECK(error_of(hv.pin_root(nobody, Mfn(1))) == Errno::ESRCH);
    CHECK(error_of(hv.write_hypercall_page(nobody, Mfn(1))) == Errno::ESRCH);
    CHECK(error_of(probe::current_reservation(hv, nobody)) == Errno::ESRCH);
    CHECK(error_of(hv.allocate_port(nobody, dom0_id)) == Errno::ESRCH);
}

TEST_CASE("an operation passes on any error, and leaves no buffer behind", "[hv]") {
    Host host;
    auto& hv = host.hypervisor;
    const auto refused = [&](auto&& operation) {
        host.port.fail_call(1, Errno::EACCES);
        return error_of(operation()) == Errno::EACCES && host.port.failed() && host.port.buffers() == 0;
    };
    CHECK(refused([&] { return hv.create_domain({}); }));
    CHECK(refused([&] { return hv.destroy_domain(host.id); }));
    CHECK(refused([&] { return hv.list(); }));
    CHECK(refused([&] { return hv.host_info(); }));
    CHECK(refused([&] { return hv.version(); }));
    CHECK(refused([&] { return hv.build_id(); }));
    CHECK(refused([&] { return hv.console_log(); }));
    CHECK(refused([&] { return hv.press_debug_keys("q"); }));
    CHECK(refused([&] { return probe::cpu_idle_ns(hv); }));
    CHECK(refused([&] { return hv.populate(host.id, Pfn(0), 1); }));
    CHECK(refused([&] { return hv.map_grant_table(host.id); }));
}

TEST_CASE("without memory for hypercalls, every operation says so and none is made", "[hv]") {
    Host host;
    auto& hv = host.hypervisor;
    std::byte some[8]{};
    host.port.buffers_left = false;
    host.port.forget_calls();
    CHECK(error_of(hv.create_domain({})) == Errno::ENOMEM);
    CHECK(error_of(hv.destroy_domain(host.id)) == Errno::ENOMEM);
    CHECK(error_of(hv.info(host.id)) == Errno::ENOMEM);
    CHECK(error_of(hv.list()) == Errno::ENOMEM);
    CHECK(error_of(hv.host_info()) == Errno::ENOMEM);
    CHECK(error_of(hv.build_id()) == Errno::ENOMEM);
    CHECK(error_of(hv.console_log()) == Errno::ENOMEM);
    CHECK(error_of(hv.press_debug_keys("q")) == Errno::ENOMEM);
    CHECK(error_of(probe::cpu_idle_ns(hv)) == Errno::ENOMEM);
    CHECK(error_of(hv.set_context(host.id, 0, {})) == Errno::ENOMEM);
    CHECK(error_of(hv.set_affinity(host.id, 0, {true})) == Errno::ENOMEM);
    CHECK(error_of(hv.affinity(host.id, 0, 1)) == Errno::ENOMEM);
    CHECK(error_of(hv.populate(host.id, Pfn(0), 1)) == Errno::ENOMEM);
    CHECK(error_of(hv.set_memory_map(host.id, 1)) == Errno::ENOMEM);
    CHECK(error_of(hv.pin_root(host.id, Mfn(1))) == Errno::ENOMEM);
    CHECK(error_of(hv.write_guest(host.id, Mfn(1), 0, some)) == Errno::ENOMEM);
    CHECK(error_of(probe::current_reservation(hv, host.id)) == Errno::ENOMEM);
    CHECK(error_of(hv.allocate_port(host.id, dom0_id)) == Errno::ENOMEM);
    CHECK(host.port.calls() == 0);
}

TEST_CASE("information is of the domain that was asked for, never of the next", "[hv]") {
    Host host;
    host.domain.shutdown_reason = SHUTDOWN_crash;
    host.domain.cpu_time_ns = 123456;
    REQUIRE(host.hypervisor.populate(host.id, Pfn(0), 10));
    const auto info = host.hypervisor.info(host.id);
    REQUIRE(info);
    CHECK(info->id == host.id);
    CHECK(info->handle == host.domain.handle);
    CHECK(info->shut_down);
    CHECK(info->shutdown_reason == SHUTDOWN_crash);
    CHECK(info->paused);
    CHECK_FALSE(info->dying);
    CHECK_FALSE(info->running);
    CHECK(info->pages == 10);
    CHECK(info->max_pages == 16384);
    CHECK(info->cpu_time_ns == 123456);
    CHECK(info->max_vcpu_id == 1);
    CHECK(info->shared_info == Mfn(host.domain.shared_info));

    const DomId below(host.id.raw());
    const auto above = host.hypervisor.create_domain({});
    REQUIRE(above);
    REQUIRE(host.hypervisor.destroy_domain(below));
    CHECK(error_of(host.hypervisor.info(below)) == Errno::ESRCH);
}

TEST_CASE("the list holds all domains, in as many calls as it takes", "[hv]") {
    FakePort port;
    Hypervisor hypervisor(port);
    for (int i = 0; i < 127; ++i) REQUIRE(hypervisor.create_domain({}));
    port.forget_calls();
    auto list = hypervisor.list();
    REQUIRE(list);
    CHECK(list->size() == 128);
    for (std::uint16_t i = 0; i < 128; ++i) CHECK((*list)[i].id == DomId(i));
    CHECK(port.calls(__HYPERVISOR_sysctl, XEN_SYSCTL_getdomaininfolist) == 3);
    REQUIRE(hypervisor.destroy_domain(DomId(5)));
    port.forget_calls();
    list = hypervisor.list();
    REQUIRE(list);
    CHECK(list->size() == 127);
    CHECK(port.calls() == 2);
}

TEST_CASE("reports on the machine", "[hv]") {
    Host host;
    auto& hv = host.hypervisor;
    const auto info = hv.host_info();
    REQUIRE(info);
    CHECK(info->cpus == 2);
    CHECK(info->total_pages == 1 << 16);
    CHECK(info->free_pages == host.port.free_pages());
    CHECK(hv.version() == "4.17.0-streak");
    CHECK(hv.build_id() == "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
    REQUIRE(hv.press_debug_keys("qh"));
    CHECK(host.port.keys == "qh");
    CHECK(hv.press_debug_keys(""));
    CHECK(probe::cpu_idle_ns(hv) == std::vector<std::uint64_t>{1000, 1001});
    host.port.cpus = 100;
    CHECK(probe::cpu_idle_ns(hv)->size() == 100);
    const auto vcpu = hv.vcpu_info(host.id, 1);
    REQUIRE(vcpu);
    CHECK(vcpu->cpu == 1);
    CHECK_FALSE(vcpu->online);
    CHECK(error_of(hv.vcpu_info(host.id, 2)) == Errno::EINVAL);
}

TEST_CASE("the log is read whole, and cleared when asked for", "[hv]") {
    FakePort port;
    Hypervisor hypervisor(port);
    CHECK(hypervisor.console_log() == "");
    for (const std::size_t size : {10uz, 16384uz, 40000uz}) {
        port.log.clear();
        while (port.log.size() < size) port.log += "line " + std::to_string(port.log.size()) + "\n";
        port.log.resize(size);
        const std::string all = port.log;
        CHECK(hypervisor.console_log() == all);
        CHECK(port.log == all);
        CHECK(hypervisor.console_log(true) == all);
        CHECK(port.log.empty());
    }
}

TEST_CASE("affinity and shares are set and read", "[hv]") {
    Host host;
    auto& hv = host.hypervisor;
    host.port.cpus = 70;
    CpuSet cpus(70);
    cpus[1] = cpus[64] = cpus[69] = true;
    REQUIRE(hv.set_affinity(host.id, 1, cpus));
    CHECK(host.domain.hard[1] == std::set<unsigned>{1, 64, 69});
    CHECK(hv.affinity(host.id, 1, 70) == cpus);
    REQUIRE(hv.set_affinity(host.id, 0, {false, true}, true));
    CHECK(host.domain.soft[0] == std::set<unsigned>{1});
    CHECK(hv.affinity(host.id, 0, 3, true) == CpuSet{false, true, false});
    CHECK(hv.affinity(host.id, 0, 70) == CpuSet(70, true));
    CHECK(error_of(hv.set_affinity(host.id, 0, {})) == Errno::EINVAL);
    CHECK(error_of(hv.set_affinity(host.id, 2, {true})) == Errno::ESRCH);

    REQUIRE(hv.set_share(host.id, {.weight = 512, .cap = 50}));
    const auto share = probe::share(hv, host.id);
    REQUIRE(share);
    CHECK(share->weight == 512);
    CHECK(share->cap == 50);
}

TEST_CASE("ports of a domain are allocated for another", "[hv]") {
    Host host;
    CHECK(host.hypervisor.allocate_port(host.id, dom0_id) == EvtchnPort(1));
    CHECK(host.hypervisor.allocate_port(host.id, DomId(9)) == EvtchnPort(2));
    CHECK(host.domain.ports == std::map<std::uint32_t, domid_t>{{1, 0}, {2, 9}});
}

TEST_CASE("operations come from several threads", "[hv]") {
    Host host;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 50; ++n) (void)host.hypervisor.list();
        });
    for (auto& thread : threads) thread.join();
    CHECK(host.port.calls(__HYPERVISOR_sysctl) == 200);
}
