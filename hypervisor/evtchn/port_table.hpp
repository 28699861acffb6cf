// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/abi.hpp"
#include "lib/errno.hpp"
#include "lib/function_ref.hpp"
#include "lib/ids.hpp"
#include "lib/memory_source.hpp"

// The ports of one domain: what each is bound to. Pure bookkeeping: no locks, no guest memory. What an
// operation obliges the caller to do (disconnect a peer, unbind an interrupt) is in its result.

namespace streak::evtchn {

enum class PortState : u8 { free, reserved, unbound, interdomain, pirq, virq, ipi };

struct Port {
    PortState state = PortState::free;
    u8 priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    bool raised_early = false; ///< FIFO: raised before the guest gave the event word's page
    u8 last_priority = 0;      ///< FIFO: the queue that this port was last linked in
    DomId remote_domain{};     ///< unbound: who may connect; interdomain: the peer
    u16 vcpu = 0;              ///< who is notified
    u16 last_vcpu = 0;
    u16 pad_ = 0;
    u32 detail = 0; ///< interdomain: the peer's port; pirq, virq: its number
};
static_assert(sizeof(Port) == 16);

/// VIRQs that exist once in a domain, not once for each vCPU. (xen/xen.h)
[[nodiscard]] bool is_global_virq(u32 virq);

/// What a closed port was.
struct Closed {
    PortState state;
    DomId remote_domain;    ///< interdomain: whose ...
    EvtchnPort remote_port; ///< ... port is now to be disconnect()ed
    u32 number;             ///< pirq, virq
    VcpuId vcpu;
};

class PortTable : NotCopyable {
public:
    static constexpr u32 max_2level = EVTCHN_2L_NR_CHANNELS;
    static constexpr u32 max_fifo = EVTCHN_FIFO_NR_CHANNELS;

    /// Tells that a port number can't be given out yet (FIFO: still linked in a queue).
    using Busy = FunctionRef<bool(EvtchnPort)>;

    /// Ports 1 … `highest` may ever exist (0: as many as the ABI has).
    PortTable(MemorySource memory, u32 highest);
    ~PortTable();

    /// A port in use; nullptr for any other number.
    [[nodiscard]] Port* find(EvtchnPort port) const {
        if (port.raw() >= allocated_) return nullptr;
        Port& p = buckets_[port.raw() / ports_per_bucket][port.raw() % ports_per_bucket];
        return p.state > PortState::reserved ? &p : nullptr;
    }

    /// Numbers below this may be used under the present ABI; grows with use_fifo().
    [[nodiscard]] u32 limit() const;
    /// Numbers below this have been in use at some time.
    [[nodiscard]] u32 allocated() const { return allocated_; }
    void use_fifo(bool fifo) { fifo_ = fifo; }

    // Each takes the lowest free port. ENOSPC, ENOMEM. `vcpu` exists, the caller has checked that.
    [[nodiscard]] Result<EvtchnPort> alloc_unbound(DomId remote, Busy busy) {
        return take({.state = PortState::unbound, .remote_domain = remote}, busy);
    }
    [[nodiscard]] Result<EvtchnPort> bind_ipi(VcpuId vcpu, Busy busy) {
        return take({.state = PortState::ipi, .vcpu = static_cast<u16>(vcpu.raw())}, busy);
    }
    [[nodiscard]] Result<EvtchnPort> bind_virq(u32 virq, VcpuId vcpu, Busy busy) {
        return take({.state = PortState::virq, .vcpu = static_cast<u16>(vcpu.raw()), .detail = virq}, busy);
    }
    [[nodiscard]] Result<EvtchnPort> bind_pirq(u32 pirq, Busy busy) {
        return take({.state = PortState::pirq, .detail = pirq}, busy);
    }

    /// Connects a new port of `local` with an unbound port of `remote` (perhaps the same table). EINVAL: that
    /// port does not wait for `local_id`. The caller raises the local port: events may have been lost.
    [[nodiscard]] static Result<EvtchnPort> connect(PortTable& local, DomId local_id, PortTable& remote,
                                                    DomId remote_id, EvtchnPort remote_port, Busy busy);
    /// The peer of an interdomain port went: the port waits for `by` again.
    void disconnect(EvtchnPort port, DomId by);

    /// EINVAL: no such port.
    [[nodiscard]] Result<Closed> close(EvtchnPort port);
    /// EINVAL: no such port, or of a kind that belongs to its vCPU (IPI, per-vCPU VIRQ).
    [[nodiscard]] Result<> bind_vcpu(EvtchnPort port, VcpuId vcpu);
    /// EINVAL: priority out of range, or no such port.
    [[nodiscard]] Result<> set_priority(EvtchnPort port, u32 priority);
    /// EVTCHNOP_status of any port number below limit(); EINVAL above.
    [[nodiscard]] Result<evtchn_status_t> status(EvtchnPort port) const;

private:
    static constexpr u32 ports_per_bucket = 256;
    static constexpr u64 bucket_bytes = ports_per_bucket * sizeof(Port);

    /// The lowest free port becomes what `as` says of its use.
    [[nodiscard]] Result<EvtchnPort> take(const Port& as, Busy busy);
    [[nodiscard]] Result<> grow();
    [[nodiscard]] Port& at(EvtchnPort port) const {
        return buckets_[port.raw() / ports_per_bucket][port.raw() % ports_per_bucket];
    }

    MemorySource memory_;
    u32 end_; ///< highest number that may ever be used, plus one
    u32 bucket_count_;
    Port** buckets_ = nullptr;
    u32 allocated_ = 0;  ///< ports that have a bucket
    u32 first_free_ = 1; ///< no free port below
    bool fifo_ = false;
};

} // namespace streak::evtchn
