// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/event_channel_op.hpp"

#include "domain/notify.hpp"
#include "domain/pirq.hpp"
#include "hypercall/handlers.hpp"

// EVTCHNOP_* of xen/event_channel.h, the operations that make, connect and use ports. (FIFO set-up:
// event_channel_fifo.cpp.)

namespace streak::hypercall {

namespace {

using evtchn::Port;
using evtchn::PortState;
using evtchn::PortTable;
using xsm::Hook;

[[nodiscard]] auto busy_in(const Domain& domain) {
    return [&domain](EvtchnPort port) { return events::is_busy(domain, port); };
}

[[nodiscard]] Result<Vcpu*> vcpu_of(const Domain& domain, u32 id) {
    if (id >= domain.max_vcpus || !domain.vcpus[id]) return fail(Errno::ENOENT);
    return domain.vcpus[id];
}

/// Makes a port of the domain and tells the guest its number in `answer`, a part of `op`. A port that it can't learn of is
/// closed again.
template <class T, class Make>
[[nodiscard]] Return give(RawHandle arg, T& op, evtchn_port_t& answer, Domain& domain, Make make) {
    const Result<EvtchnPort> port = make();
    if (!port) return fail(port.error());
    answer = port->raw();
    if (auto written = arg.as<T>().write(op); !written) {
        (void)events::close(domain, *port);
        return fail(written.error());
    }
    return 0;
}

Return alloc_unbound(RawHandle arg) {
    TRY_ASSIGN(op, arg.as<evtchn_alloc_unbound_t>().read());
    TRY_ASSIGN(domain, find_domain(DomId(op.dom)));
    TRY(may(Hook::evtchn_alloc_unbound, *domain));
    const DomId remote = DomId(op.remote_dom) == self_id ? caller().id : DomId(op.remote_dom);
    return give(arg, op, op.port, *domain, [&]() -> Result<EvtchnPort> {
        LockGuard guard(domain->event_lock);
        if (domain->dying) return fail(Errno::EINVAL);
        return domain->ports->alloc_unbound(remote, busy_in(*domain));
    });
}

Return bind_interdomain(RawHandle arg) {
    TRY_ASSIGN(op, arg.as<evtchn_bind_interdomain_t>().read());
    Domain& local = caller();
    TRY_ASSIGN(remote, find_domain(DomId(op.remote_dom)));
    TRY(may(Hook::evtchn_bind_interdomain, *remote));
    return give(arg, op, op.local_port, local, [&]() -> Result<EvtchnPort> {
        events::BothLocks both(local, *remote);
        TRY_ASSIGN(port, PortTable::connect(*local.ports, local.id, *remote->ports, remote->id,
                                            EvtchnPort(op.remote_port), busy_in(local)));
        // What the peer sent before is lost; one event makes the guest look.
        events::raise(local, *local.ports->find(port), port);
        return port;
    });
}

Return bind_virq(RawHandle arg) {
    TRY_ASSIGN(op, arg.as<evtchn_bind_virq_t>().read());
    Domain& d = caller();
    if (op.virq >= NR_VIRQS) return fail(Errno::EINVAL);
    const bool global = evtchn::is_global_virq(op.virq);
    TRY(may(global ? Hook::evtchn_bind_global_virq : Hook::evtchn_bind_virq, d));
    if (global && op.vcpu != 0) return fail(Errno::EINVAL);
    TRY_ASSIGN(vcpu, vcpu_of(d, op.vcpu));
    return give(arg, op, op.port, d, [&]() -> Result<EvtchnPort> {
        LockGuard guard(d.event_lock);
        if (vcpu->virq_port[op.virq] != 0) return fail(Errno::EEXIST);
        TRY_ASSIGN(port, d.ports->bind_virq(op.virq, vcpu->id, busy_in(d)));
        LockGuard virqs(vcpu->virq_lock);
        vcpu->virq_port[op.virq] = port.raw();
        return port;
    });
}

Return bind_ipi(RawHandle arg) {
    TRY_ASSIGN(op, arg.as<evtchn_bind_ipi_t>().read());
    Domain& d = caller();
    TRY(may(Hook::evtchn_bind_ipi, d));
    TRY_ASSIGN(vcpu, vcpu_of(d, op.vcpu));
    return give(arg, op, op.port, d, [&] {
        LockGuard guard(d.event_lock);
        return d.ports->bind_ipi(vcpu->id, busy_in(d));
    });
}

Return bind_pirq(RawHandle arg) {
    TRY_ASSIGN(op, arg.as<evtchn_bind_pirq_t>().read());
    Domain& d = caller();
    TRY(may(Hook::evtchn_bind_pirq, d));
    const Pirq pirq(op.pirq);
    return give(arg, op, op.port, d, [&]() -> Result<EvtchnPort> {
        LockGuard guard(d.event_lock);
        TRY(pirqs::may_bind(d, pirq));
        TRY_ASSIGN(port, d.ports->bind_pirq(op.pirq, busy_in(d)));
        if (auto bound = pirqs::bind_event(d, pirq, port); !bound) {
            (void)d.ports->close(port);
            return fail(bound.error());
        }
        return port;
    });
}

Result<> close(const evtchn_close_t& op) {
    TRY(may(Hook::evtchn_close, caller()));
    return events::close(caller(), EvtchnPort(op.port));
}

/// The far end in another domain; the sender's lock keeps the pair connected.
[[gnu::noinline]] void send_remote(const Port& port) {
    const EvtchnPort far(port.detail);
    const auto remote = find_domain(port.remote_domain);
    if (!remote) return;
    if (Port* p = (*remote)->ports->find(far)) events::raise(**remote, *p, far);
}

[[gnu::noinline]] Return send(RawHandle arg) {
    TRY_ASSIGN(op, arg.as<evtchn_send_t>().read());
    Domain& d = caller();
    TRY(may(Hook::evtchn_send, d));
    const EvtchnPort number(op.port);
    LockGuard guard(d.event_lock);
    Port* port = d.ports->find(number);
    if (!port) return fail(Errno::EINVAL);
    if (port->state == PortState::unbound) return 0; // nobody listens yet
    EvtchnPort target = number;
    if (port->state == PortState::interdomain) {
        if (port->remote_domain != d.id) [[unlikely]] {
            send_remote(*port);
            return 0;
        }
        target = EvtchnPort(port->detail);
        port = d.ports->find(target);
    } else if (port->state != PortState::ipi) {
        return fail(Errno::EINVAL);
    }
    if (port) events::raise(d, *port, target);
    return 0;
}

Result<> status(evtchn_status_t& op) {
    TRY_ASSIGN(domain, find_domain(DomId(op.dom)));
    TRY(may(Hook::evtchn_status, *domain));
    LockGuard guard(domain->event_lock);
    TRY_ASSIGN(answer, domain->ports->status(EvtchnPort(op.port)));
    answer.dom = op.dom;
    answer.port = op.port;
    op = answer;
    return {};
}

Result<> bind_vcpu(const evtchn_bind_vcpu_t& op) {
    Domain& d = caller();
    TRY(may(Hook::evtchn_bind_vcpu, d));
    TRY_ASSIGN(vcpu, vcpu_of(d, op.vcpu));
    LockGuard guard(d.event_lock);
    TRY(d.ports->bind_vcpu(EvtchnPort(op.port), vcpu->id));
    const Port* port = d.ports->find(EvtchnPort(op.port));
    if (port->state == PortState::pirq) pirqs::follow_vcpu(d, Pirq(port->detail), *vcpu);
    return {};
}

Result<> unmask(const evtchn_unmask_t& op) {
    Domain& d = caller();
    TRY(may(Hook::evtchn_unmask, d));
    LockGuard guard(d.event_lock);
    Port* port = d.ports->find(EvtchnPort(op.port));
    if (!port) return fail(Errno::EINVAL);
    events::unmask(d, *port, EvtchnPort(op.port));
    return {};
}

Result<> reset(const evtchn_reset_t& op) {
    TRY_ASSIGN(domain, find_domain(DomId(op.dom)));
    TRY(may(Hook::evtchn_reset, *domain));
    if (domain.get() != &caller() && domain->pause_count.load() == 0) return fail(Errno::EINVAL);
    while (!events::close_all(*domain) || !events::reset_fifo(*domain))
        if (preempt_pending()) return fail(Errno::ERESTART);
    return {};
}

Result<> set_priority(const evtchn_set_priority_t& op) {
    Domain& d = caller();
    TRY(may(Hook::evtchn_set_priority, d));
    LockGuard guard(d.event_lock);
    if (!d.fifo) return fail(Errno::ENOSYS);
    return d.ports->set_priority(EvtchnPort(op.port), op.priority);
}

/// EVTCHNOP_reset_cont: the public header keeps it from guests; the incumbent uses it for continuations.
constexpr u32 reset_continued = 14;

[[gnu::noinline]] Return other_op(u32 cmd, RawHandle arg) {
    switch (cmd) {
    case EVTCHNOP_unmask: return on_copy(arg, unmask);
    case EVTCHNOP_bind_interdomain: return bind_interdomain(arg);
    case EVTCHNOP_bind_virq: return bind_virq(arg);
    case EVTCHNOP_bind_pirq: return bind_pirq(arg);
    case EVTCHNOP_close: return on_copy(arg, close);
    case EVTCHNOP_status: return on_copy(arg, status);
    case EVTCHNOP_alloc_unbound: return alloc_unbound(arg);
    case EVTCHNOP_bind_ipi: return bind_ipi(arg);
    case EVTCHNOP_bind_vcpu: return on_copy(arg, bind_vcpu);
    case EVTCHNOP_reset:
    case reset_continued: return on_copy(arg, reset);
    case EVTCHNOP_init_control: return on_copy(arg, fifo_init_control);
    case EVTCHNOP_expand_array: return on_copy(arg, fifo_expand_array);
    case EVTCHNOP_set_priority: return on_copy(arg, set_priority);
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace

Return event_channel_op(u32 cmd, RawHandle arg) {
    // The frequent one pays for none of the others' stack frames.
    return cmd == EVTCHNOP_send ? send(arg) : other_op(cmd, arg);
}

/// The form before interface 0x00030202: command and argument in one structure.
Return event_channel_op_compat(RawHandle op) {
    TRY_ASSIGN(cmd, op.as<u32>().read());
    if (cmd > EVTCHNOP_unmask) return fail(Errno::ENOSYS);
    return event_channel_op(cmd, RawHandle(op.address().raw() + offsetof(evtchn_op_t, u)));
}

} // namespace streak::hypercall
