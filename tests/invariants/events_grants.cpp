// SPDX-License-Identifier: GPL-2.0-only
#include "domain/domain.hpp"
#include "domain/notify.hpp"
#include "domain/pirq.hpp"
#include "grant/maptrack.hpp"
#include "grant/pin.hpp"
#include "tests/invariants/invariants.hpp"

// Event ports agree with what they are bound to, and grants in use with those who use them.

namespace streak::invariants {

using evtchn::Port;
using evtchn::PortState;

namespace {

void check_interdomain(const Domain& d, u32 number, const Port& port) {
    const auto remote = find_domain(port.remote_domain);
    if (!remote) broken("d{} port {}: its peer d{} expected, nobody found", d.id, number, port.remote_domain);
    const Port* peer = (*remote)->ports->find(EvtchnPort(port.detail));
    if (!peer || peer->state != PortState::interdomain || peer->remote_domain != d.id || peer->detail != number)
        broken("d{} port {}: its peer, port {} of d{}, leads elsewhere", d.id, number, port.detail, port.remote_domain);
}

void check_port(const Domain& d, u32 number, const Port& port) {
    if (port.vcpu >= d.max_vcpus || port.last_vcpu >= d.max_vcpus || port.priority > EVTCHN_FIFO_PRIORITY_MIN ||
        port.last_priority > EVTCHN_FIFO_PRIORITY_MIN)
        broken("d{} port {}: vCPU {}, before {}, of {}; priority {}", d.id, number, port.vcpu, port.last_vcpu,
               d.max_vcpus, port.priority);
    if (port.state == PortState::interdomain) check_interdomain(d, number, port);
    if (port.state == PortState::virq) {
        const u32 owner = evtchn::is_global_virq(port.detail) ? 0 : port.vcpu;
        const u32 found = d.vcpus[owner]->virq_port[port.detail];
        if (found != number)
            broken("d{}v{} VIRQ {}: port {} expected, {} found", d.id, owner, port.detail, number, found);
    }
    if (port.state == PortState::pirq && d.irqs->bindings[port.detail].port.load() != number)
        broken("d{} PIRQ {}: port {} expected, {} found", d.id, port.detail, number,
               d.irqs->bindings[port.detail].port.load());
}

void check_vcpu(const Domain& d, const Vcpu& v) {
    for (u32 virq = 0; virq < NR_VIRQS; ++virq) {
        if (v.virq_port[virq] == 0) continue;
        const Port* port = d.ports->find(EvtchnPort(v.virq_port[virq]));
        if (!port || port->state != PortState::virq || port->detail != virq)
            broken("d{}v{} VIRQ {}: its port {} is not bound to it", d.id, v.id, virq, v.virq_port[virq]);
    }
    const bool entered = d.pollers[v.id.raw() / 64].load() >> (v.id.raw() % 64) & 1;
    if (entered && !v.sched.state.polling()) broken("d{}v{}: among the pollers, but awake", d.id, v.id);
}

void check_ports(const Domain& d) {
    const evtchn::PortTable& table = *d.ports;
    if (table.fifo_ != (d.fifo != nullptr)) broken("d{}: FIFO delivery and its port table differ", d.id);
    for (u32 n = 1; n < table.allocated(); ++n) {
        const Port& port = table.at(EvtchnPort(n));
        if (port.state == PortState::free && n < table.first_free_)
            broken("d{} port {} is free, below the first free one, {}", d.id, n, table.first_free_);
        if (port.state > PortState::reserved) check_port(d, n, port);
        if (port.state > PortState::reserved && n >= table.limit())
            broken("d{} port {} is open; the limit is {}", d.id, n, table.limit());
    }
}

// ---- Grants ----

constexpr u32 most_entries = 64 * grant::Table::entries_v1;
constinit std::array<u16, most_entries> readers{}, writers{};

/// Counts a domain's mappings of one granter's table.
void count_pins(const Domain& user, const Domain& granter) {
    for (u32 h = 0; h < user.maptrack->handle_count(); ++h) {
        const grant::Mapping& m = user.maptrack->at(GrantHandle(h));
        if (!(m.flags & grant::Maptrack::kind_mask) || m.granter != granter.id ||
            m.generation != granter.grants->generation())
            continue;
        const grant::Granted* g = m.ref.raw() < granter.grants->entry_count() ? granter.grants->active(m.ref) : nullptr;
        if (!g || g->user != user.id || g->frame != m.frame)
            broken("d{} handle {}: d{} grants it frame {:#x}, its mapping has {:#x}", user.id, h, granter.id,
                   g ? g->frame : 0, m.frame);
        ++(m.flags & GNTMAP_readonly ? readers : writers)[m.ref.raw()];
    }
}

void check_handles(const Domain& d) {
    const grant::Maptrack& track = *d.maptrack;
    u32 used = 0, free = 0;
    for (u32 h = 0; h < track.handle_count(); ++h) {
        const u16 flags = track.at(GrantHandle(h)).flags;
        if (flags & grant::Maptrack::kind_mask << grant::Maptrack::claimed_shift)
            broken("d{} handle {}: claimed by nobody", d.id, h);
        used += (flags & grant::Maptrack::kind_mask) != 0;
    }
    for (u32 h = track.free_; h != grant::Maptrack::none && free <= track.handle_count(); ++free)
        h = track.at(GrantHandle(h)).ref.raw();
    if (used + free != track.handle_count())
        broken("d{}: {} handles are used and {} free of {}", d.id, used, free, track.handle_count());
}

void check_table(const Domain& granter) {
    const u32 entries = std::min(granter.grants->entry_count(), most_entries);
    std::fill_n(readers.begin(), entries, u16{0});
    std::fill_n(writers.begin(), entries, u16{0});
    for_each_domain([&](const Domain& user) { count_pins(user, granter); });
    for (u32 ref = 0; ref < entries; ++ref) {
        const grant::Granted* g = granter.grants->active(GrantRef(ref));
        const u32 r = g ? g->readers : 0, w = g ? g->writers : 0;
        if (r != readers[ref] || w != writers[ref])
            broken("d{} grant {}: {} readers and {} writers expected, {} and {} found", granter.id, ref, readers[ref],
                   writers[ref], r, w);
    }
}

} // namespace

void check_events() {
    for_each_domain([](const Domain& d) {
        check_ports(d);
        d.for_each_vcpu([&](const Vcpu& v) { check_vcpu(d, v); });
    });
}

void check_grants() {
    for_each_domain([](const Domain& d) {
        check_handles(d);
        check_table(d);
    });
}

} // namespace streak::invariants
