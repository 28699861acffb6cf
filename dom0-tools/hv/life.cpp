// SPDX-License-Identifier: GPL-2.0-only
#include "hv/hypervisor.hpp"

#include <algorithm>

#include "hv/calls.hpp"

// Making, stopping and ending domains, and what is set once at their beginning.

namespace streak::hv {

namespace {

/// The ABI's way to ask for the hypervisor's own limit is a negative one.
std::int32_t limit(std::uint32_t frames) { return frames == 0 ? -1 : static_cast<std::int32_t>(frames); }

} // namespace

Result<DomId> Hypervisor::create_domain(const NewDomain& parameters) {
    auto op = domctl(XEN_DOMCTL_createdomain, DomId(0));
    auto& c = op.u.createdomain;
    c.ssidref = parameters.ssid;
    std::ranges::copy(parameters.handle.bytes, c.handle);
    c.max_vcpus = parameters.max_vcpus;
    c.max_evtchn_port = parameters.max_event_ports;
    c.max_grant_frames = limit(parameters.max_grant_frames);
    c.max_maptrack_frames = limit(parameters.max_maptrack_frames);
    c.grant_opts = XEN_DOMCTL_GRANT_version(2);
    TRY(run(port_, op));
    return DomId(op.domain);
}

Result<> Hypervisor::destroy_domain(DomId domain) {
    for (;;) {
        auto op = domctl(XEN_DOMCTL_destroydomain, domain);
        const auto done = run(port_, op);
        // Streak goes on by itself; other hypervisors of this interface ask to be called again.
        if (done || (done.error() != Errno::EAGAIN && done.error() != Errno::ERESTART)) return done;
    }
}

Result<> Hypervisor::pause(DomId domain) {
    auto op = domctl(XEN_DOMCTL_pausedomain, domain);
    return run(port_, op);
}

Result<> Hypervisor::unpause(DomId domain) {
    auto op = domctl(XEN_DOMCTL_unpausedomain, domain);
    return run(port_, op);
}

Result<> Hypervisor::set_handle(DomId domain, const base::Uuid& handle) {
    auto op = domctl(XEN_DOMCTL_setdomainhandle, domain);
    std::ranges::copy(handle.bytes, op.u.setdomainhandle.handle);
    return run(port_, op);
}

Result<> Hypervisor::set_max_vcpus(DomId domain, std::uint32_t count) {
    auto op = domctl(XEN_DOMCTL_max_vcpus, domain);
    op.u.max_vcpus.max = count;
    return run(port_, op);
}

Result<> Hypervisor::set_max_memory(DomId domain, std::uint64_t kib) {
    auto op = domctl(XEN_DOMCTL_max_mem, domain);
    op.u.max_mem.max_memkb = kib;
    return run(port_, op);
}

Result<> Hypervisor::set_time_offset(DomId domain, std::int32_t seconds) {
    auto op = domctl(XEN_DOMCTL_settimeoffset, domain);
    op.u.settimeoffset.time_offset_seconds = seconds;
    return run(port_, op);
}

Result<> Hypervisor::set_tsc_mode(DomId domain, std::uint32_t mode) {
    auto op = domctl(XEN_DOMCTL_settscinfo, domain);
    op.u.tsc_info.tsc_mode = mode;
    return run(port_, op);
}

Result<> Hypervisor::send_nmi(DomId domain, std::uint32_t vcpu) {
    auto op = domctl(XEN_DOMCTL_sendtrigger, domain);
    op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_NMI;
    op.u.sendtrigger.vcpu = vcpu;
    return run(port_, op);
}

Result<EvtchnPort> Hypervisor::allocate_port(DomId domain, DomId remote) {
    evtchn_alloc_unbound_t op{.dom = domain.raw(), .remote_dom = remote.raw(), .port = 0};
    TRY(call_with(port_, __HYPERVISOR_event_channel_op, op, unsigned{EVTCHNOP_alloc_unbound}));
    return EvtchnPort(op.port);
}

} // namespace streak::hv
