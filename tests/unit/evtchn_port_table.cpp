// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include "evtchn/port_table.hpp"
#include "test_memory.hpp"

using namespace streak;
using namespace streak::evtchn;

namespace {

const auto never_busy = [](EvtchnPort) { return false; };
constexpr DomId dom_a{1}, dom_b{2}, dom_c{3};

u32 fill(PortTable& t) {
    u32 n = 0;
    while (t.alloc_unbound(dom_b, never_busy)) ++n;
    return n;
}

} // namespace

TEST_CASE("ports are given out from 1 upwards, the lowest free one first", "[evtchn]") {
    PortTable t(test::memory, 0);
    CHECK(t.alloc_unbound(dom_b, never_busy)->raw() == 1);
    CHECK(t.alloc_unbound(dom_b, never_busy)->raw() == 2);
    CHECK(t.bind_ipi(VcpuId(1), never_busy)->raw() == 3);
    REQUIRE(t.close(EvtchnPort(2)));
    CHECK(t.bind_virq(VIRQ_TIMER, VcpuId(0), never_busy)->raw() == 2);
    CHECK(t.bind_pirq(9, never_busy)->raw() == 4);
}

TEST_CASE("port 0 is never in use", "[evtchn]") {
    PortTable t(test::memory, 0);
    REQUIRE(t.alloc_unbound(dom_b, never_busy));
    CHECK(t.find(EvtchnPort(0)) == nullptr);
    CHECK(t.close(EvtchnPort(0)).error() == Errno::EINVAL);
    CHECK(t.bind_vcpu(EvtchnPort(0), VcpuId(0)).error() == Errno::EINVAL);
}

TEST_CASE("two-level delivery has 4095 usable ports, FIFO 131071", "[evtchn]") {
    PortTable t(test::memory, 0);
    CHECK(fill(t) == 4095);
    CHECK(t.alloc_unbound(dom_b, never_busy).error() == Errno::ENOSPC);
    t.use_fifo(true);
    CHECK(fill(t) == 131071 - 4095);
}

TEST_CASE("a domain's own limit holds", "[evtchn]") {
    PortTable t(test::memory, 10);
    CHECK(fill(t) == 10);
    CHECK(t.status(EvtchnPort(11)).error() == Errno::EINVAL);
    REQUIRE(t.close(EvtchnPort(5)));
    CHECK(fill(t) == 1);
}

TEST_CASE("memory running out is an error, and nothing leaks", "[evtchn]") {
    const i64 before = test::live_bytes;
    {
        PortTable t(test::memory, 0);
        {
            test::OutOfMemoryAfter none(0);
            CHECK(t.alloc_unbound(dom_b, never_busy).error() == Errno::ENOMEM);
        }
        {
            test::OutOfMemoryAfter one(1);
            CHECK(t.alloc_unbound(dom_b, never_busy).error() == Errno::ENOMEM);
        }
        CHECK(t.alloc_unbound(dom_b, never_busy)->raw() == 1);
    }
    CHECK(test::live_bytes == before);
}

TEST_CASE("a busy number is passed over and comes later", "[evtchn]") {
    PortTable t(test::memory, 0);
    bool busy = true;
    const auto one_busy = [&](EvtchnPort p) { return busy && p.raw() == 1; };
    CHECK(t.alloc_unbound(dom_b, one_busy)->raw() == 2);
    CHECK(t.alloc_unbound(dom_b, one_busy)->raw() == 3);
    busy = false;
    CHECK(t.alloc_unbound(dom_b, one_busy)->raw() == 1);
    CHECK(t.alloc_unbound(dom_b, one_busy)->raw() == 4);
}

TEST_CASE("connecting needs an unbound port that waits for the caller", "[evtchn]") {
    PortTable a(test::memory, 0), b(test::memory, 0);
    const EvtchnPort waiting = *b.alloc_unbound(dom_a, never_busy);
    const EvtchnPort ipi = *b.bind_ipi(VcpuId(0), never_busy);

    CHECK(PortTable::connect(a, dom_a, b, dom_b, EvtchnPort(77), never_busy).error() == Errno::EINVAL);
    CHECK(PortTable::connect(a, dom_a, b, dom_b, ipi, never_busy).error() == Errno::EINVAL);
    CHECK(PortTable::connect(a, dom_c, b, dom_b, waiting, never_busy).error() == Errno::EINVAL);
    CHECK(b.find(waiting)->state == PortState::unbound);
    CHECK(a.allocated() == 0);

    const EvtchnPort mine = *PortTable::connect(a, dom_a, b, dom_b, waiting, never_busy);
    CHECK(a.find(mine)->state == PortState::interdomain);
    CHECK(a.find(mine)->remote_domain == dom_b);
    CHECK(a.find(mine)->detail == waiting.raw());
    CHECK(b.find(waiting)->state == PortState::interdomain);
    CHECK(b.find(waiting)->remote_domain == dom_a);
    CHECK(b.find(waiting)->detail == mine.raw());
    CHECK(PortTable::connect(a, dom_a, b, dom_b, waiting, never_busy).error() == Errno::EINVAL);

    const Closed was = *a.close(mine);
    CHECK(was.state == PortState::interdomain);
    CHECK(was.remote_domain == dom_b);
    CHECK(was.remote_port == waiting);
    b.disconnect(was.remote_port, dom_a);
    CHECK(b.find(waiting)->state == PortState::unbound);
    CHECK(b.find(waiting)->remote_domain == dom_a);
    CHECK(PortTable::connect(a, dom_a, b, dom_b, waiting, never_busy));
}

TEST_CASE("a domain connects with itself", "[evtchn]") {
    PortTable a(test::memory, 0);
    const EvtchnPort first = *a.alloc_unbound(dom_a, never_busy);
    const EvtchnPort second = *PortTable::connect(a, dom_a, a, dom_a, first, never_busy);
    CHECK(a.find(first)->detail == second.raw());
    CHECK(a.find(second)->detail == first.raw());
    const Closed was = *a.close(first);
    a.disconnect(was.remote_port, dom_a);
    CHECK(a.find(second)->state == PortState::unbound);
    a.disconnect(first, dom_b); // closed: nothing happens
    CHECK(a.find(first) == nullptr);
}

TEST_CASE("connecting without a free port leaves the peer waiting", "[evtchn]") {
    PortTable a(test::memory, 1), b(test::memory, 0);
    REQUIRE(a.alloc_unbound(dom_b, never_busy));
    const EvtchnPort waiting = *b.alloc_unbound(dom_a, never_busy);
    CHECK(PortTable::connect(a, dom_a, b, dom_b, waiting, never_busy).error() == Errno::ENOSPC);
    CHECK(b.find(waiting)->state == PortState::unbound);
}

TEST_CASE("ports of a vCPU stay with it", "[evtchn]") {
    PortTable t(test::memory, 0);
    const EvtchnPort ipi = *t.bind_ipi(VcpuId(1), never_busy);
    const EvtchnPort timer = *t.bind_virq(VIRQ_TIMER, VcpuId(1), never_busy);
    const EvtchnPort console = *t.bind_virq(VIRQ_CONSOLE, VcpuId(0), never_busy);
    const EvtchnPort pirq = *t.bind_pirq(9, never_busy);
    const EvtchnPort unbound = *t.alloc_unbound(dom_b, never_busy);
    CHECK(t.bind_vcpu(ipi, VcpuId(2)).error() == Errno::EINVAL);
    CHECK(t.bind_vcpu(timer, VcpuId(2)).error() == Errno::EINVAL);
    for (const EvtchnPort p : {console, pirq, unbound}) {
        REQUIRE(t.bind_vcpu(p, VcpuId(2)));
        CHECK(t.find(p)->vcpu == 2);
    }
    CHECK(t.find(ipi)->vcpu == 1);
    CHECK(t.bind_vcpu(EvtchnPort(99), VcpuId(0)).error() == Errno::EINVAL);
}

TEST_CASE("priorities are 0 to 15", "[evtchn]") {
    PortTable t(test::memory, 0);
    const EvtchnPort p = *t.alloc_unbound(dom_b, never_busy);
    CHECK(t.find(p)->priority == EVTCHN_FIFO_PRIORITY_DEFAULT);
    CHECK(t.set_priority(p, 0));
    CHECK(t.set_priority(p, 15));
    CHECK(t.set_priority(p, 16).error() == Errno::EINVAL);
    CHECK(t.set_priority(EvtchnPort(9), 1).error() == Errno::EINVAL);
    CHECK(t.find(p)->priority == 15);
    REQUIRE(t.close(p));
    const EvtchnPort again = *t.bind_ipi(VcpuId(0), never_busy);
    CHECK(again == p);
    CHECK(t.find(again)->priority == EVTCHN_FIFO_PRIORITY_DEFAULT);
}

TEST_CASE("status tells what a port is", "[evtchn]") {
    PortTable a(test::memory, 0), b(test::memory, 0);
    const EvtchnPort unbound = *a.alloc_unbound(dom_b, never_busy);
    CHECK(a.status(unbound)->status == EVTCHNSTAT_unbound);
    CHECK(a.status(unbound)->u.unbound.dom == dom_b.raw());
    const EvtchnPort virq = *a.bind_virq(VIRQ_DEBUG, VcpuId(3), never_busy);
    CHECK(a.status(virq)->status == EVTCHNSTAT_virq);
    CHECK(a.status(virq)->u.virq == VIRQ_DEBUG);
    CHECK(a.status(virq)->vcpu == 3);
    const EvtchnPort pirq = *a.bind_pirq(17, never_busy);
    CHECK(a.status(pirq)->status == EVTCHNSTAT_pirq);
    CHECK(a.status(pirq)->u.pirq == 17);
    CHECK(a.status(*a.bind_ipi(VcpuId(0), never_busy))->status == EVTCHNSTAT_ipi);
    const EvtchnPort far = *b.alloc_unbound(dom_a, never_busy);
    const EvtchnPort near = *PortTable::connect(a, dom_a, b, dom_b, far, never_busy);
    CHECK(a.status(near)->status == EVTCHNSTAT_interdomain);
    CHECK(a.status(near)->u.interdomain.dom == dom_b.raw());
    CHECK(a.status(near)->u.interdomain.port == far.raw());
    CHECK(a.status(EvtchnPort(0))->status == EVTCHNSTAT_closed);
    CHECK(a.status(EvtchnPort(4000))->status == EVTCHNSTAT_closed);
    CHECK(a.status(EvtchnPort(4096)).error() == Errno::EINVAL);
}
