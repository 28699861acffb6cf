// SPDX-License-Identifier: GPL-2.0-only
#include "evtchn/port_table.hpp"

#include <new>

namespace streak::evtchn {

bool is_global_virq(u32 virq) {
    switch (virq) {
    case VIRQ_TIMER:
    case VIRQ_DEBUG:
    case VIRQ_XENOPROF:
    case VIRQ_XENPMU: return false;
    default: return true;
    }
}

PortTable::PortTable(MemorySource memory, u32 highest)
    : memory_(memory), end_(highest == 0 || highest >= max_fifo ? max_fifo : highest + 1),
      bucket_count_((end_ + ports_per_bucket - 1) / ports_per_bucket) {}

PortTable::~PortTable() {
    for (u32 i = 0; i < allocated_ / ports_per_bucket; ++i) memory_.release(buckets_[i], bucket_bytes);
    if (buckets_) memory_.release(buckets_, bucket_count_ * sizeof(Port*));
}

u32 PortTable::limit() const { return fifo_ ? end_ : std::min(end_, max_2level); }

Result<> PortTable::grow() {
    if (!buckets_) buckets_ = static_cast<Port**>(memory_.allocate(bucket_count_ * sizeof(Port*)));
    if (!buckets_) return fail(Errno::ENOMEM);
    void* memory = memory_.allocate(bucket_bytes);
    if (!memory) return fail(Errno::ENOMEM);
    auto* ports = static_cast<Port*>(memory);
    for (u32 i = 0; i < ports_per_bucket; ++i) ::new (&ports[i]) Port{};
    if (allocated_ == 0) ports[0].state = PortState::reserved;
    buckets_[allocated_ / ports_per_bucket] = ports;
    allocated_ += ports_per_bucket;
    return {};
}

Result<EvtchnPort> PortTable::take(const Port& as, Busy busy) {
    bool passed_busy = false;
    for (u32 n = first_free_; n < limit(); ++n) {
        if (n >= allocated_) TRY(grow());
        Port& port = at(EvtchnPort(n));
        if (port.state != PortState::free) continue;
        if (busy(EvtchnPort(n))) {
            passed_busy = true;
            continue;
        }
        if (!passed_busy) first_free_ = n + 1;
        port.state = as.state;
        port.remote_domain = as.remote_domain;
        port.vcpu = as.vcpu;
        port.detail = as.detail;
        return EvtchnPort(n);
    }
    return fail(Errno::ENOSPC);
}

Result<EvtchnPort> PortTable::connect(PortTable& local, DomId local_id, PortTable& remote, DomId remote_id,
                                      EvtchnPort remote_port, Busy busy) {
    Port* peer = remote.find(remote_port);
    if (!peer || peer->state != PortState::unbound || peer->remote_domain != local_id) return fail(Errno::EINVAL);
    TRY_ASSIGN(
        port,
        local.take({.state = PortState::interdomain, .remote_domain = remote_id, .detail = remote_port.raw()}, busy));
    peer->state = PortState::interdomain;
    peer->remote_domain = local_id;
    peer->detail = port.raw();
    return port;
}

void PortTable::disconnect(EvtchnPort port, DomId by) {
    Port* p = find(port);
    if (!p || p->state != PortState::interdomain) return;
    p->state = PortState::unbound;
    p->remote_domain = by;
    p->detail = 0;
}

Result<Closed> PortTable::close(EvtchnPort port) {
    Port* p = find(port);
    if (!p) return fail(Errno::EINVAL);
    const Closed was{p->state, p->remote_domain, EvtchnPort(p->detail), p->detail, VcpuId(p->vcpu)};
    // The queue of the last link stays known: a stale link is only recognised by it.
    const u8 last_priority = p->last_priority;
    const u16 last_vcpu = p->last_vcpu;
    *p = Port{};
    p->last_priority = last_priority;
    p->last_vcpu = last_vcpu;
    first_free_ = std::min(first_free_, port.raw());
    return was;
}

Result<> PortTable::bind_vcpu(EvtchnPort port, VcpuId vcpu) {
    Port* p = find(port);
    if (!p || p->state == PortState::ipi || (p->state == PortState::virq && !is_global_virq(p->detail)))
        return fail(Errno::EINVAL);
    p->vcpu = static_cast<u16>(vcpu.raw());
    return {};
}

Result<> PortTable::set_priority(EvtchnPort port, u32 priority) {
    Port* p = find(port);
    if (!p || priority > EVTCHN_FIFO_PRIORITY_MIN) return fail(Errno::EINVAL);
    p->priority = static_cast<u8>(priority);
    return {};
}

Result<evtchn_status_t> PortTable::status(EvtchnPort port) const {
    if (port.raw() >= limit()) return fail(Errno::EINVAL);
    evtchn_status_t out{};
    const Port* p = find(port);
    if (!p) {
        out.status = EVTCHNSTAT_closed;
        return out;
    }
    out.vcpu = p->vcpu;
    switch (p->state) {
    case PortState::unbound:
        out.status = EVTCHNSTAT_unbound;
        out.u.unbound.dom = p->remote_domain.raw();
        break;
    case PortState::interdomain:
        out.status = EVTCHNSTAT_interdomain;
        out.u.interdomain.dom = p->remote_domain.raw();
        out.u.interdomain.port = p->detail;
        break;
    case PortState::pirq:
        out.status = EVTCHNSTAT_pirq;
        out.u.pirq = p->detail;
        break;
    case PortState::virq:
        out.status = EVTCHNSTAT_virq;
        out.u.virq = p->detail;
        break;
    default: out.status = EVTCHNSTAT_ipi; break;
    }
    return out;
}

} // namespace streak::evtchn
