// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "evtchn/delivery_2l.hpp"
#include "evtchn/delivery_fifo.hpp"
#include "test_memory.hpp"

using namespace streak;
using namespace streak::evtchn;

namespace {

constexpr u32 pending = 1u << EVTCHN_FIFO_PENDING, masked = 1u << EVTCHN_FIFO_MASKED, linked = 1u << EVTCHN_FIFO_LINKED;

/// A guest with FIFO delivery that keeps to the ABI: it takes events from its queues as the ABI says.
struct Guest {
    static constexpr u32 vcpus = 2, pages = 2;

    Guest() : fifo(test::memory, vcpus) {
        REQUIRE(fifo.init());
        for (u32 v = 0; v < vcpus; ++v) fifo.set_control(VcpuId(v), control[v], 64);
        for (auto& page : words) fifo.add_page(page);
    }
    evtchn_fifo_control_block_t& block(u32 vcpu) {
        return *reinterpret_cast<evtchn_fifo_control_block_t*>(control[vcpu] + 64);
    }
    u32& word(u32 port) { return words[port / 1024][port % 1024]; }

    Raised raise(u32 port) { return fifo.raise(ports[port], EvtchnPort(port)); }

    /// Takes what the vCPU's queues hold, highest priority first; the ports seen pending and unmasked.
    std::vector<u32> consume(u32 vcpu) {
        std::vector<u32> seen;
        auto& b = block(vcpu);
        while (b.ready != 0) {
            const u32 q = static_cast<u32>(__builtin_ctz(b.ready));
            u32& head = heads[vcpu][q];
            if (head == 0) head = b.head[q];
            const u32 port = head;
            const u32 w = word(port);
            word(port) = w & ~(linked | EVTCHN_FIFO_LINK_MASK);
            head = w & EVTCHN_FIFO_LINK_MASK;
            if (head == 0) b.ready &= ~(1u << q);
            if ((w & pending) && !(w & masked)) {
                word(port) &= ~pending;
                seen.push_back(port);
            }
        }
        return seen;
    }

    alignas(4096) u8 control[vcpus][4096]{};
    alignas(4096) u32 words[pages][1024]{};
    u32 heads[vcpus][16]{};
    Port ports[2048]{};
    Fifo fifo;
};

} // namespace

TEST_CASE("two-level: the first raise of an open port asks for an upcall", "[evtchn]") {
    shared_info_t s{};
    vcpu_info_t& info = s.vcpu_info[0];
    const EvtchnPort p(70);
    const Raised first = two_level::raise(s, &info, p);
    CHECK((first.newly_pending && first.upcall));
    CHECK(s.evtchn_pending[1] == 1ull << 6);
    CHECK(info.evtchn_pending_sel == 2);
    const Raised again = two_level::raise(s, &info, p);
    CHECK_FALSE((again.newly_pending || again.upcall));
    const Raised other = two_level::raise(s, &info, EvtchnPort(71)); // selected already
    CHECK((other.newly_pending && !other.upcall));
    CHECK(two_level::is_pending(s, p));
    two_level::clear_pending(s, p);
    CHECK_FALSE(two_level::is_pending(s, p));
}

TEST_CASE("two-level: a masked port waits for its unmasking", "[evtchn]") {
    shared_info_t s{};
    vcpu_info_t& info = s.vcpu_info[0];
    const EvtchnPort p(4095);
    s.evtchn_mask[63] = 1ull << 63;
    CHECK(two_level::is_masked(s, p));
    const Raised r = two_level::raise(s, &info, p);
    CHECK((r.newly_pending && !r.upcall));
    CHECK(info.evtchn_pending_sel == 0);
    CHECK(two_level::unmask(s, &info, p).upcall);
    CHECK(info.evtchn_pending_sel == 1ull << 63);
    CHECK(s.evtchn_mask[63] == 0);
    info.evtchn_pending_sel = 0;
    CHECK_FALSE(two_level::unmask(s, &info, p).upcall); // it was open
}

TEST_CASE("two-level: a vCPU without info loses nothing but the upcall", "[evtchn]") {
    shared_info_t s{};
    const Raised r = two_level::raise(s, nullptr, EvtchnPort(5));
    CHECK((r.newly_pending && !r.upcall));
    CHECK(two_level::is_pending(s, EvtchnPort(5)));
}

TEST_CASE("the upcall flag is raised once", "[evtchn]") {
    vcpu_info_t info{};
    CHECK(mark_upcall(info));
    CHECK_FALSE(mark_upcall(info));
    CHECK(info.evtchn_upcall_pending == 1);
}

TEST_CASE("FIFO: events come in order, one upcall for a queue", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    CHECK(g->raise(3).upcall);
    CHECK_FALSE(g->raise(9).upcall);
    CHECK_FALSE(g->raise(1500).upcall);
    CHECK_FALSE(g->raise(3).newly_pending);
    CHECK(g->block(0).ready == 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    CHECK(g->consume(0) == std::vector<u32>{3, 9, 1500});
    CHECK(g->raise(9).upcall);
    CHECK(g->consume(0) == std::vector<u32>{9});
}

TEST_CASE("FIFO: higher priorities come first", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    g->ports[5].priority = 0;
    CHECK(g->raise(4).upcall);
    CHECK(g->raise(5).upcall);
    CHECK(g->consume(0) == std::vector<u32>{5, 4});
}

TEST_CASE("FIFO: a masked port is linked when it is unmasked", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    g->word(7) = masked;
    const Raised r = g->raise(7);
    CHECK((r.newly_pending && !r.upcall));
    CHECK(g->block(0).ready == 0);
    CHECK(g->fifo.is_masked(EvtchnPort(7)));
    CHECK(g->fifo.unmask(g->ports[7], EvtchnPort(7)).upcall);
    CHECK(g->consume(0) == std::vector<u32>{7});
    CHECK_FALSE(g->fifo.unmask(g->ports[7], EvtchnPort(7)).newly_pending);
}

TEST_CASE("FIFO: a port moves between queues without taking others along", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    CHECK(g->raise(1).upcall);
    CHECK(g->consume(0) == std::vector<u32>{1});
    // Port 1 is still the tail that the hypervisor knows of vCPU 0's queue.
    g->ports[1].vcpu = 1;
    CHECK(g->raise(1).upcall);
    CHECK(g->raise(2).upcall); // must start a queue of its own, not hang on to port 1
    CHECK(g->consume(1) == std::vector<u32>{1});
    CHECK(g->consume(0) == std::vector<u32>{2});
}

TEST_CASE("FIFO: a change of vCPU takes effect after the old link is taken", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    (void)g->raise(1);
    g->ports[1].vcpu = 1;
    CHECK_FALSE(g->raise(1).upcall);
    CHECK(g->consume(0) == std::vector<u32>{1});
    CHECK(g->raise(1).upcall);
    CHECK(g->consume(1) == std::vector<u32>{1});
}

TEST_CASE("FIFO: a port without an event word yet is remembered", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    Port far{};
    const Raised r = g->fifo.raise(far, EvtchnPort(5000));
    CHECK_FALSE((r.newly_pending || r.upcall));
    CHECK(far.raised_early);
    CHECK_FALSE(g->fifo.is_pending(EvtchnPort(5000)));
    CHECK(g->fifo.is_masked(EvtchnPort(5000)));
    CHECK_FALSE(g->fifo.is_busy(EvtchnPort(5000)));
    g->fifo.clear_pending(far, EvtchnPort(5000));
    CHECK_FALSE(far.raised_early);
}

TEST_CASE("FIFO: a linked number is busy until the guest takes it", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    (void)g->raise(6);
    g->fifo.clear_pending(g->ports[6], EvtchnPort(6));
    CHECK(g->fifo.is_busy(EvtchnPort(6)));
    CHECK(g->consume(0).empty());
    CHECK_FALSE(g->fifo.is_busy(EvtchnPort(6)));
}

TEST_CASE("FIFO: a vCPU without a control block gets nothing", "[evtchn]") {
    Fifo fifo(test::memory, 2);
    REQUIRE(fifo.init());
    alignas(4096) static u32 page[1024];
    fifo.add_page(page);
    Port p{};
    CHECK_FALSE(fifo.raise(p, EvtchnPort(1)).upcall);
    CHECK((page[1] & pending) != 0);
    CHECK((page[1] & linked) == 0);
}

TEST_CASE("FIFO: control blocks lie inside their page, aligned", "[evtchn]") {
    CHECK(Fifo::check_offset(0));
    CHECK(Fifo::check_offset(4096 - 72));
    CHECK_FALSE(Fifo::check_offset(4096 - 64));
    CHECK_FALSE(Fifo::check_offset(4));
    CHECK_FALSE(Fifo::check_offset(0xfffffff8));
}

TEST_CASE("FIFO: a guest that scribbles on everything harms itself only", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    std::mt19937 random(1);
    for (int i = 0; i < 200'000; ++i) {
        const u32 port = 1 + random() % 2047;
        switch (random() % 6) {
        case 0: g->words[random() % 2][random() % 1024] = random(); break;
        case 1: reinterpret_cast<u32*>(g->control[random() % 2])[random() % 1024] = random(); break;
        case 2: g->ports[port].vcpu = random() % 2; break;
        case 3: g->ports[port].priority = random() % 16; break;
        case 4: (void)g->fifo.unmask(g->ports[port], EvtchnPort(port)); break;
        default: (void)g->raise(port); break;
        }
    }
    SUCCEED(); // the sanitizers judge
}

TEST_CASE("FIFO: no event is lost in any order of raising, taking, masking and moving", "[evtchn]") {
    auto g = std::make_unique<Guest>();
    std::mt19937 random(2);
    std::set<u32> expected; // raised and not taken
    const auto take = [&](u32 vcpu) {
        for (const u32 port : g->consume(vcpu)) CHECK(expected.erase(port) == 1);
    };
    for (int i = 0; i < 100'000; ++i) {
        const u32 port = 1 + random() % 40;
        switch (random() % 8) {
        case 0: take(random() % 2); break;
        case 1: g->ports[port].vcpu = random() % 2; break;
        case 2: g->ports[port].priority = random() % 16; break;
        case 3: g->word(port) |= masked; break;
        case 4: (void)g->fifo.unmask(g->ports[port], EvtchnPort(port)); break;
        default:
            (void)g->raise(port);
            expected.insert(port);
            break;
        }
    }
    for (u32 port = 1; port <= 40; ++port) (void)g->fifo.unmask(g->ports[port], EvtchnPort(port));
    take(0);
    take(1);
    CHECK(expected.empty());
}
