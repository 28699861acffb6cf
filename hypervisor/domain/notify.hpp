// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "evtchn/delivery_fifo.hpp"

// Delivery of events to a domain's vCPUs, whichever of the two ABIs it uses.
//
// Locks. `Domain::event_lock` guards the port table; an interdomain pair changes only with both domains' locks
// (lower DomId first), so a sender needs its own side's lock alone. `Vcpu::virq_lock` guards virq_port, the
// interrupt bindings have their lock: a port found under one of the three can't be closed meanwhile, which is
// all that raise() asks of its caller. Order: event_lock → virq_lock → fifo_lock.
//
// SCHEDOP_poll: the poller falls asleep, enters itself by begin_poll(), and only then looks at is_pending() of its
// ports; who raises a port takes it out and kicks it. So no event is missed, and nobody is taken out and sleeps on.

namespace streak::events {

/// The port table of a new domain. ENOMEM.
[[nodiscard]] Result<> create(Domain& domain, u32 highest_port);
/// Closes all ports and returns all memory, in steps. ERESTART: call again.
[[nodiscard]] Result<> relinquish(Domain& domain);
/// Closes every port, in rounds. ERESTART: call again (EVTCHNOP_reset).
[[nodiscard]] Result<> close_all(Domain& domain);
/// Back to two-level delivery. ERESTART: a port is open, close all first.
[[nodiscard]] Result<> reset_fifo(Domain& domain);
/// Frees the empty table, with the domain.
void destroy(Domain& domain);

/// A domain's vCPUs have it from the start (lifecycle.cpp); only idle ones don't.
[[nodiscard]] inline vcpu_info_t& info_of(Vcpu& vcpu) {
    if (!vcpu.info) __builtin_unreachable();
    return *vcpu.info;
}

/// Sets a vCPU's upcall flag and makes it notice. (The present one looks on its way out, unless it sleeps.)
inline void upcall(Vcpu& vcpu) {
    if (evtchn::mark_upcall(info_of(vcpu)) && (&vcpu != &current() || vcpu.sched.state.asleep())) kick(vcpu);
}

void raise_fifo(Domain& domain, evtchn::Port& port, EvtchnPort number);
[[gnu::cold]] void wake_pollers(Domain& domain, EvtchnPort number);
[[nodiscard]] inline bool has_pollers(const Domain& domain) {
    u64 any = 0;
    for (const auto& word : domain.pollers) any |= word.load(std::memory_order_relaxed);
    return any != 0;
}

/// Carries out what raising or unmasking a port asks for; `vcpu` is the port's.
inline void deliver(Domain& domain, Vcpu& vcpu, EvtchnPort number, evtchn::Raised raised) {
    if (raised.upcall) upcall(vcpu);
    if (unlikely(raised.newly_pending && has_pollers(domain))) wake_pollers(domain, number);
}

/// Makes a port in use pending. The caller holds the lock under which it found `port`.
[[gnu::always_inline]] inline void raise(Domain& domain, evtchn::Port& port, EvtchnPort number) {
    if (domain.fifo) return raise_fifo(domain, port, number);
    if (unlikely(number.raw() >= evtchn::PortTable::max_2level)) return;
    Vcpu& vcpu = *domain.vcpus.data()[port.vcpu]; // checked when the port was bound
    deliver(domain, vcpu, number, evtchn::two_level::raise(*domain.shared_info, &info_of(vcpu), number));
}
/// Opens a masked port; what waits is delivered.
void unmask(Domain& domain, evtchn::Port& port, EvtchnPort number);
void clear_pending(Domain& domain, evtchn::Port& port, EvtchnPort number);

/// Does an event wait at this port? False for ports that don't exist. Takes event_lock.
[[nodiscard]] bool is_pending(Domain& domain, EvtchnPort number);
[[nodiscard]] bool is_masked(Domain& domain, EvtchnPort number);

/// Enters the vCPU among the domain's pollers; `port` 0: it polls several, or none.
void begin_poll(Vcpu& vcpu, EvtchnPort port);
/// Takes it out again (time-out, or an event was there already).
void end_poll(Vcpu& vcpu);

/// The domain that receives a global VIRQ (DOMCTL_set_virq_handler).
void set_global_virq_handler(u32 virq, DomId domain);

/// Closes one port and what hangs on it. EINVAL: none such.
[[nodiscard]] Result<> close(Domain& domain, EvtchnPort port);

/// A predicate for PortTable: ports that FIFO queues still link.
[[nodiscard]] bool is_busy(const Domain& domain, EvtchnPort number);

/// Both domains' event locks in order, once when they are the same.
class [[nodiscard]] BothLocks : NotCopyable {
public:
    BothLocks(Domain& a, Domain& b) : first_(a.id < b.id ? a : b), second_(a.id < b.id ? b : a) {
        first_.event_lock.lock();
        if (&first_ != &second_) second_.event_lock.lock();
    }
    ~BothLocks() {
        if (&first_ != &second_) second_.event_lock.unlock();
        first_.event_lock.unlock();
    }

private:
    Domain& first_;
    Domain& second_;
};

} // namespace streak::events
