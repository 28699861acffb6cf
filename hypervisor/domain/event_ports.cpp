// SPDX-License-Identifier: GPL-2.0-only
#include "domain/notify.hpp"

#include "domain/pirq.hpp"
#include "mm/heap.hpp"
#include "mm/page_type.hpp"

// The life of a domain's ports.

namespace streak::events {

namespace {

/// Frees the FIFO state; no port is open any more.
void drop_fifo(Domain& domain) {
    evtchn::Fifo* fifo = std::exchange(domain.fifo, nullptr);
    if (!fifo) return;
    const auto drop = [](void* page) {
        if (page) mm::put_page_and_type(mm::page_of_unchecked(to_mfn(arch::direct_map_maddr(page))));
    };
    for (u32 i = 0; i < fifo->vcpus(); ++i) drop(fifo->control_page(VcpuId(i)));
    for (u32 i = 0; i < fifo->page_count(); ++i) drop(fifo->array_page(i));
    mm::Owned<evtchn::Fifo>{fifo}.reset();
    domain.ports->use_fifo(false);
}

/// The local part of closing; the peer of an interdomain port is left to the caller.
[[nodiscard]] Result<evtchn::Closed> close_local(Domain& domain, EvtchnPort number) {
    evtchn::Port* port = domain.ports->find(number);
    if (!port) return fail(Errno::EINVAL);
    // The way of new events is cut before the port goes.
    if (port->state == evtchn::PortState::virq) {
        Vcpu& v = *domain.vcpus[evtchn::is_global_virq(port->detail) ? 0 : port->vcpu];
        LockGuard guard(v.virq_lock);
        v.virq_port[port->detail] = 0;
    } else if (port->state == evtchn::PortState::pirq) {
        pirqs::unbind_event(domain, Pirq(port->detail));
    }
    clear_pending(domain, *port, number);
    return domain.ports->close(number);
}

} // namespace

Result<> create(Domain& domain, u32 highest_port) {
    auto table = mm::make_owned<evtchn::PortTable>(mm::heap_source, highest_port);
    if (!table) return fail(Errno::ENOMEM);
    domain.ports = table.release();
    return {};
}

Result<> close(Domain& domain, EvtchnPort number) {
    for (;;) {
        DomId peer_id;
        {
            LockGuard guard(domain.event_lock);
            const evtchn::Port* port = domain.ports->find(number);
            if (!port) return fail(Errno::EINVAL);
            if (port->state != evtchn::PortState::interdomain) {
                TRY(close_local(domain, number));
                return {};
            }
            peer_id = port->remote_domain;
        }
        auto peer = find_domain(peer_id);
        Domain& other = peer ? **peer : domain;
        BothLocks both(domain, other);
        const evtchn::Port* port = domain.ports->find(number);
        if (!port || port->state != evtchn::PortState::interdomain || port->remote_domain != peer_id)
            continue; // it changed while unlocked
        TRY_ASSIGN(was, close_local(domain, number));
        if (peer) other.ports->disconnect(was.remote_port, domain.id);
        return {};
    }
}

Result<> close_all(Domain& domain) {
    // A round is bounded, so that the caller can look for more urgent things in between.
    constexpr u32 round = 256;
    u32 closed = 0;
    for (u32 n = 1; n < domain.ports->allocated(); ++n)
        if (domain.ports->find(EvtchnPort(n)) && close(domain, EvtchnPort(n)) && ++closed == round)
            return fail(Errno::ERESTART);
    return {};
}

Result<> reset_fifo(Domain& domain) {
    LockGuard guard(domain.event_lock);
    // Through a port that another vCPU has opened meanwhile, events find the queues without this lock.
    for (u32 n = 1; domain.fifo && n < domain.ports->allocated(); ++n)
        if (domain.ports->find(EvtchnPort(n))) return fail(Errno::ERESTART);
    drop_fifo(domain);
    return {};
}

Result<> relinquish(Domain& domain) {
    if (!domain.ports) return {};
    TRY(close_all(domain));
    return reset_fifo(domain);
}

void destroy(Domain& domain) { mm::Owned<evtchn::PortTable>{std::exchange(domain.ports, nullptr)}.reset(); }

} // namespace streak::events
