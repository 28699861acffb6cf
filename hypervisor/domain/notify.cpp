// SPDX-License-Identifier: GPL-2.0-only
#include "domain/notify.hpp"

#include "lib/panic.hpp"

namespace streak {

namespace events {

namespace {

/// Global VIRQs go to dom0 unless a domain was chosen for them.
constinit std::array<std::atomic<u16>, NR_VIRQS> global_virq_domain{};

} // namespace

void wake_pollers(Domain& domain, EvtchnPort number) {
    for (u32 i = 0; i < domain.pollers.size(); ++i)
        for (u64 w = domain.pollers[i].load(); w != 0; w &= w - 1) {
            const u64 bit = w & -w;
            Vcpu& v = *domain.vcpus[i * 64 + static_cast<u32>(std::countr_zero(w))];
            const u32 wanted = v.poll_port.load(std::memory_order_relaxed);
            if ((wanted == 0 || wanted == number.raw()) && (domain.pollers[i].fetch_and(~bit) & bit)) kick(v);
        }
}

void raise_fifo(Domain& domain, evtchn::Port& port, EvtchnPort number) {
    evtchn::Raised raised;
    {
        LockGuard guard(domain.fifo_lock);
        raised = domain.fifo->raise(port, number);
    }
    deliver(domain, *domain.vcpus[port.vcpu], number, raised);
}

void unmask(Domain& domain, evtchn::Port& port, EvtchnPort number) {
    evtchn::Raised raised;
    if (domain.fifo) {
        LockGuard guard(domain.fifo_lock);
        raised = domain.fifo->unmask(port, number);
    } else if (number.raw() < evtchn::PortTable::max_2level) {
        raised = evtchn::two_level::unmask(*domain.shared_info, domain.vcpus[port.vcpu]->info, number);
    }
    deliver(domain, *domain.vcpus[port.vcpu], number, raised);
}

void clear_pending(Domain& domain, evtchn::Port& port, EvtchnPort number) {
    if (domain.fifo) domain.fifo->clear_pending(port, number);
    else if (number.raw() < evtchn::PortTable::max_2level)
        evtchn::two_level::clear_pending(*domain.shared_info, number);
}

bool is_pending(Domain& domain, EvtchnPort number) {
    LockGuard guard(domain.event_lock);
    if (!domain.ports->find(number)) return false;
    return domain.fifo ? domain.fifo->is_pending(number)
                       : number.raw() < evtchn::PortTable::max_2level &&
                             evtchn::two_level::is_pending(*domain.shared_info, number);
}

bool is_masked(Domain& domain, EvtchnPort number) {
    LockGuard guard(domain.event_lock);
    if (!domain.ports->find(number)) return true;
    return domain.fifo ? domain.fifo->is_masked(number)
                       : number.raw() >= evtchn::PortTable::max_2level ||
                             evtchn::two_level::is_masked(*domain.shared_info, number);
}

bool is_busy(const Domain& domain, EvtchnPort number) { return domain.fifo && domain.fifo->is_busy(number); }

void begin_poll(Vcpu& vcpu, EvtchnPort port) {
    vcpu.poll_port.store(port.raw(), std::memory_order_relaxed);
    vcpu.domain->pollers[vcpu.id.raw() / 64].fetch_or(1ull << (vcpu.id.raw() % 64));
}

void end_poll(Vcpu& vcpu) { vcpu.domain->pollers[vcpu.id.raw() / 64].fetch_and(~(1ull << (vcpu.id.raw() % 64))); }

void set_global_virq_handler(u32 virq, DomId domain) {
    if (virq < global_virq_domain.size()) global_virq_domain[virq].store(domain.raw(), std::memory_order_relaxed);
}

[[nodiscard]] static DomId global_virq_handler(u32 virq) {
    return DomId(global_virq_domain[virq].load(std::memory_order_relaxed));
}

} // namespace events

void send_virq(Vcpu& vcpu, u32 virq) {
    ASSERT(virq < NR_VIRQS);
    LockGuard guard(vcpu.virq_lock);
    const EvtchnPort number(vcpu.virq_port[virq]);
    if (number.raw() == 0) return;
    if (evtchn::Port* port = vcpu.domain->ports->find(number)) events::raise(*vcpu.domain, *port, number);
}

void send_global_virq(u32 virq) {
    ASSERT(virq < NR_VIRQS);
    auto domain = find_domain(events::global_virq_handler(virq));
    if (domain && (*domain)->vcpus[0]) send_virq(*(*domain)->vcpus[0], virq);
}

} // namespace streak
