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
        const auto done = order(port_, XEN_DOMCTL_destroydomain, domain);
        // Streak goes on by itself; other hypervisors of this interface ask to be called again.
        if (done || (done.error() != Errno::EAGAIN && done.error() != Errno::ERESTART)) return done;
    }
}

Result<> Hypervisor::pause(DomId domain) { return order(port_, XEN_DOMCTL_pausedomain, domain); }
Result<> Hypervisor::unpause(DomId domain) { return order(port_, XEN_DOMCTL_unpausedomain, domain); }

Result<> Hypervisor::set_handle(DomId domain, const base::Uuid& handle) {
    return order(port_, XEN_DOMCTL_setdomainhandle, domain,
                 [&](auto& u) { std::ranges::copy(handle.bytes, u.setdomainhandle.handle); });
}

Result<> Hypervisor::set_max_vcpus(DomId domain, std::uint32_t count) {
    return order(port_, XEN_DOMCTL_max_vcpus, domain, [&](auto& u) { u.max_vcpus.max = count; });
}

Result<> Hypervisor::set_max_memory(DomId domain, std::uint64_t kib) {
    return order(port_, XEN_DOMCTL_max_mem, domain, [&](auto& u) { u.max_mem.max_memkb = kib; });
}

Result<> Hypervisor::set_time_offset(DomId domain, std::int32_t seconds) {
    return order(port_, XEN_DOMCTL_settimeoffset, domain,
                 [&](auto& u) { u.settimeoffset.time_offset_seconds = seconds; });
}

Result<> Hypervisor::set_tsc_mode(DomId domain, std::uint32_t mode) {
    return order(port_, XEN_DOMCTL_settscinfo, domain, [&](auto& u) { u.tsc_info.tsc_mode = mode; });
}

Result<EvtchnPort> Hypervisor::allocate_port(DomId domain, DomId remote) {
    evtchn_alloc_unbound_t op{.dom = domain.raw(), .remote_dom = remote.raw(), .port = 0};
    TRY(call_with(port_, __HYPERVISOR_event_channel_op, op, unsigned{EVTCHNOP_alloc_unbound}));
    return EvtchnPort(op.port);
}

} // namespace streak::hv
