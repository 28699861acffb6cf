// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/msi.hpp"
#include "domain/domain.hpp"

// A domain's physical interrupts: its PIRQ numbers, the Irqs they stand for, and the event port each one raises.
//
//   map_gsi / map_msi → bind_event (port; interrupts flow) → unbind_event → unmap
//
// Domain::event_lock guards all of it, except what the interrupt handler needs: a binding is complete before its
// Irq is opened, and unbind_event() waits until no CPU runs the handler. A level-triggered interrupt stays in
// service until eoi().

namespace streak::irq {

struct PirqBinding {
    Domain* domain = nullptr;
    u32 pirq = 0;
    bool mapped = false;
    bool permitted = false;   ///< DOMCTL_irq_permission; privileged domains need none
    std::atomic<u32> port{0}; ///< 0: no event bound
    Irq irq{};
    msi::Source source; ///< MSIs only
    u8 log2_messages = 0;
    u8 message = 0; ///< which of a device's consecutive MSIs
};

struct DomainIrqs {
    u32 count = 0; ///< PIRQ numbers below this exist
    PirqBinding* bindings = nullptr;
    u8* eoi_map = nullptr;    ///< the guest's page with a bit for each PIRQ that needs an EOI (hostile)
    bool auto_unmask = false; ///< version 1 of that page: an EOI unmasks the port, too
};

} // namespace streak::irq

namespace streak::pirqs {

/// PIRQ numbers, which a privileged domain has from the start and others when they are given their first interrupt. ENOMEM.
[[nodiscard]] Result<> create(Domain& domain);
/// Unmaps everything; the ports are closed already.
[[nodiscard]] Result<> relinquish(Domain& domain);
void destroy(Domain& domain);

// The following want event_lock held, unless they say otherwise.

/// Makes `pirq` (or, if negative, a free number) stand for a line. EINVAL: no such line or number, or it stands
/// for something else; ENOSPC.
[[nodiscard]] Result<Pirq> map_gsi(Domain& domain, u32 gsi, i32 pirq);
/// The same for a device's MSI, or its MSI-X entry; `count` consecutive numbers for multi-message MSI.
/// ENODEV, EINVAL, ENOSPC.
struct MsiRequest {
    pci::Address device;
    bool msix = false;
    u32 entry = 0;
    u32 count = 1;
};
[[nodiscard]] Result<Pirq> map_msi(Domain& domain, const MsiRequest& request, i32 pirq);
/// EINVAL: not mapped; EBUSY: an event is bound.
[[nodiscard]] Result<> unmap(Domain& domain, Pirq pirq);
/// A number that map_gsi/map_msi would choose; it is reserved by nothing but its use. ENOSPC.
[[nodiscard]] Result<Pirq> free_number(const Domain& domain, bool msi);

/// Lets a domain bind a number, or forbids it from now on; it may then map the line of that number itself. EINVAL: no such
/// number; ENOMEM.
[[nodiscard]] Result<> permit(Domain& domain, Pirq pirq, bool allow);
[[nodiscard]] bool permitted(const Domain& domain, Pirq pirq);

/// EINVAL: not mapped; EPERM: not permitted; EEXIST: an event is bound already.
[[nodiscard]] Result<> may_bind(const Domain& domain, Pirq pirq);
/// Connects with an event port (after may_bind) and lets interrupts flow. EBUSY: the line belongs to somebody else.
[[nodiscard]] Result<> bind_event(Domain& domain, Pirq pirq, EvtchnPort port);
void unbind_event(Domain& domain, Pirq pirq);
/// Sends the interrupt to the CPU where the notified vCPU runs.
void follow_vcpu(Domain& domain, Pirq pirq, const Vcpu& vcpu);

/// The guest has handled the interrupt (PHYSDEVOP_eoi). EINVAL: not bound. Takes event_lock.
[[nodiscard]] Result<> eoi(Domain& domain, Pirq pirq);
/// XENIRQSTAT_* of a number. EINVAL: beyond the range.
[[nodiscard]] Result<u32> status(const Domain& domain, Pirq pirq);

/// Shares the page of EOI bits. EBUSY: there is one; EINVAL: not the domain's writable frame. Takes event_lock.
[[nodiscard]] Result<> set_eoi_map(Domain& domain, Mfn frame, bool auto_unmask);

/// Writes a device's messages again (after dom0 resumed it). ENODEV: it has none. Takes event_lock.
[[nodiscard]] Result<> restore_msi(Domain& domain, pci::Address device);

} // namespace streak::pirqs
