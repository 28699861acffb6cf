// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/event_channel_op.hpp"

#include "domain/held_frame.hpp"
#include "domain/notify.hpp"
#include "mm/heap.hpp"

// The guest's side of FIFO delivery: it gives pages for control blocks and event words.

namespace streak::hypercall {

namespace {

using evtchn::Fifo;

/// The domain turns to FIFO delivery. Ports that are pending now are remembered until they have event words.
[[nodiscard]] Result<> start_fifo(Domain& domain) {
    auto fifo = mm::make_owned<Fifo>(mm::heap_source, domain.max_vcpus);
    if (!fifo) return fail(Errno::ENOMEM);
    TRY(fifo->init());
    for (u32 n = 1; n < std::min(domain.ports->allocated(), evtchn::PortTable::max_2level); ++n)
        if (evtchn::Port* port = domain.ports->find(EvtchnPort(n)))
            port->raised_early = evtchn::two_level::is_pending(*domain.shared_info, EvtchnPort(n));
    std::atomic_thread_fence(std::memory_order_release); // senders look without the lock
    domain.fifo = fifo.release();
    domain.ports->use_fifo(true);
    return {};
}

/// Raises what was raised before its event word existed.
void raise_early_ones(Domain& domain, u32 page_index) {
    const u32 first = page_index * Fifo::words_per_page;
    for (u32 n = first; n < first + Fifo::words_per_page; ++n) {
        evtchn::Port* port = domain.ports->find(EvtchnPort(n));
        if (port && std::exchange(port->raised_early, false)) events::raise(domain, *port, EvtchnPort(n));
    }
}

} // namespace

Result<> fifo_init_control(evtchn_init_control_t& op) {
    Domain& d = caller();
    TRY(may(xsm::Hook::evtchn_fifo, d));
    if (op.vcpu >= d.max_vcpus || !d.vcpus[op.vcpu]) return fail(Errno::ENOENT);
    TRY(Fifo::check_offset(op.offset));
    op.link_bits = EVTCHN_FIFO_LINK_BITS;

    LockGuard guard(d.event_lock);
    if (d.fifo && d.fifo->has_control(VcpuId(op.vcpu))) return fail(Errno::EINVAL);
    HeldFrame frame(d, Mfn(op.control_gfn), true);
    if (!frame) return fail(Errno::EINVAL);
    if (!d.fifo) TRY(start_fifo(d));
    d.fifo->set_control(VcpuId(op.vcpu), frame.release(), op.offset);
    return {};
}

Result<> fifo_expand_array(const evtchn_expand_array_t& op) {
    Domain& d = caller();
    TRY(may(xsm::Hook::evtchn_fifo, d));
    LockGuard guard(d.event_lock);
    if (!d.fifo) return fail(Errno::EOPNOTSUPP);
    if (d.fifo->array_full(d.ports->limit())) return fail(Errno::ENOSPC);
    HeldFrame frame(d, Mfn(op.array_gfn), true);
    if (!frame) return fail(Errno::EINVAL);
    const u32 index = d.fifo->page_count();
    d.fifo->add_page(frame.release());
    raise_early_ones(d, index);
    return {};
}

} // namespace streak::hypercall
