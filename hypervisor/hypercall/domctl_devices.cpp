// SPDX-License-Identifier: GPL-2.0-only
#include "domain/pirq.hpp"
#include "hypercall/domctl.hpp"

// DOMCTL: which devices a domain without privileges may touch. The caller gives only what it has itself. No IOMMU is
// driven, so a device that reads or writes memory by itself is not to be given away; ports, lines and registers of others are.

namespace streak::hypercall {

/// EINVAL: beyond the last port; EPERM: not the caller's; ENOMEM.
Result<> domctl_io_ports(Domain& d, xen_domctl_t& op) {
    const xen_domctl_ioport_permission& r = op.u.ioport_permission;
    constexpr u32 ports = 0x10000;
    if (r.first_port >= ports || r.nr_ports > ports - r.first_port) return fail(Errno::EINVAL);
    if (!caller().may_use_ports(r.first_port, r.nr_ports)) return fail(Errno::EPERM);
    if (!d.io_ports && r.allow_access) d.io_ports = mm::make_owned<Domain::IoPorts>();
    if (!d.io_ports) return r.allow_access ? fail(Errno::ENOMEM) : Result<>{};
    for (u32 p = r.first_port; p < r.first_port + r.nr_ports; ++p) {
        u64& word = (*d.io_ports)[p / 64];
        word = (word & ~(1ull << (p % 64))) | u64{r.allow_access != 0} << (p % 64);
    }
    return {};
}

/// Memory and Streak's own devices can be named, but are still not mapped; mappings that exist stay. EINVAL: no frames;
/// E2BIG: too many pieces; EOPNOTSUPP: the domain has privileges, which are for all frames; ENOMEM.
Result<> domctl_io_memory(Domain& d, xen_domctl_t& op) {
    const xen_domctl_iomem_permission& r = op.u.iomem_permission;
    if (d.privileged) return fail(Errno::EOPNOTSUPP);
    if (r.first_mfn + r.nr_mfns <= r.first_mfn) return fail(Errno::EINVAL);
    LockGuard guard(d.page_lock);
    if (!d.io_memory && r.allow_access) d.io_memory = mm::make_owned<mm::DeviceFrames>();
    if (!d.io_memory) return r.allow_access ? fail(Errno::ENOMEM) : Result<>{};
    const mm::FrameRange range{r.first_mfn, r.first_mfn + r.nr_mfns};
    return mm::change_frames(*d.io_memory, range, r.allow_access != 0) ? Result<>{} : fail(Errno::E2BIG);
}

/// EINVAL: no such interrupt; ENOMEM.
Result<> domctl_irq(Domain& d, xen_domctl_t& op) {
    LockGuard guard(d.event_lock);
    return pirqs::permit(d, Pirq(op.u.irq_permission.pirq), op.u.irq_permission.allow_access != 0);
}

} // namespace streak::hypercall
