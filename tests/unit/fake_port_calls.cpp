// SPDX-License-Identifier: GPL-2.0-only
#include "fake_port.hpp"

#include <algorithm>
#include <cstring>

// The hypercalls of the fake. They are as strict as the hypervisor about what they are given, and never more lenient.

namespace streak::test {

Result<FakeDomain*> FakePort::domain_for(domid_t domain) {
    if (domain == DOMID_SELF) domain = 0;
    FakeDomain* const d = find(DomId(domain));
    if (d == nullptr) return fail(Errno::ESRCH);
    return d;
}

Result<std::uint64_t> FakePort::call(std::uint32_t number, std::array<std::uint64_t, 5> arguments) {
    const std::lock_guard guard(lock_);
    ++by_number_[number];
    std::uint64_t command = arguments[0];
    if (number == __HYPERVISOR_domctl || number == __HYPERVISOR_sysctl) {
        const auto* const first = argument<std::uint32_t>(arguments[0]);
        if (first == nullptr) return fail(Errno::EFAULT);
        command = *first;
    }
    ++by_command_[{number, static_cast<std::uint32_t>(command)}];
    TRY(count_call());
    return dispatch(number, arguments);
}

FakePort::Outcome FakePort::dispatch(std::uint32_t number, const std::array<std::uint64_t, 5>& arguments) {
    const auto command = static_cast<std::uint32_t>(arguments[0]);
    switch (number) {
    case __HYPERVISOR_domctl: {
        auto* const op = argument<xen_domctl_t>(arguments[0]);
        if (op == nullptr) return fail(Errno::EFAULT);
        if (op->interface_version != XEN_DOMCTL_INTERFACE_VERSION) return fail(Errno::EACCES);
        return domctl(*op);
    }
    case __HYPERVISOR_sysctl: {
        auto* const op = argument<xen_sysctl_t>(arguments[0]);
        if (op == nullptr) return fail(Errno::EFAULT);
        if (op->interface_version != XEN_SYSCTL_INTERFACE_VERSION) return fail(Errno::EACCES);
        return sysctl(*op);
    }
    case __HYPERVISOR_memory_op: return memory_op(command, arguments[1]);
    case __HYPERVISOR_xen_version: return xen_version(command, arguments[1]);
    case __HYPERVISOR_mmuext_op: return pin(arguments);
    case __HYPERVISOR_event_channel_op:
        return command == EVTCHNOP_alloc_unbound ? allocate_port(arguments[1]) : Outcome(fail(Errno::ENOSYS));
    default: return fail(Errno::ENOSYS);
    }
}

FakePort::Outcome FakePort::domctl(xen_domctl_t& op) {
    if (op.cmd == XEN_DOMCTL_createdomain) return create(op);
    auto at = domains.find(op.domain);
    if (at == domains.end() && op.cmd == XEN_DOMCTL_getdomaininfo) at = domains.upper_bound(op.domain);
    if (at == domains.end()) return fail(Errno::ESRCH);
    if (op.cmd == XEN_DOMCTL_getdomaininfo) {
        op.domain = at->first;
        describe(at->first, at->second, op.u.getdomaininfo);
        return 0;
    }
    return domctl_of(at->second, op);
}

FakePort::Outcome FakePort::domctl_of(FakeDomain& d, xen_domctl_t& op) {
    const bool control = op.domain == 0;
    switch (op.cmd) {
    case XEN_DOMCTL_destroydomain: return destroy(op.domain, d);
    case XEN_DOMCTL_pausedomain:
        if (control) return fail(Errno::EINVAL);
        ++d.pauses;
        return 0;
    case XEN_DOMCTL_unpausedomain:
        if (d.pauses == 0) return fail(Errno::EINVAL);
        --d.pauses;
        return 0;
    case XEN_DOMCTL_setdomainhandle: std::ranges::copy(op.u.setdomainhandle.handle, d.handle.bytes.begin()); return 0;
    case XEN_DOMCTL_max_vcpus: return op.u.max_vcpus.max == d.max_vcpus ? Outcome(0) : fail(Errno::EINVAL);
    case XEN_DOMCTL_max_mem: d.max_pages = op.u.max_mem.max_memkb / 4; return 0;
    case XEN_DOMCTL_settimeoffset: d.time_offset = op.u.settimeoffset.time_offset_seconds; return 0;
    case XEN_DOMCTL_settscinfo:
        if (control || op.u.tsc_info.tsc_mode > 2) return fail(Errno::EINVAL);
        d.tsc_mode = op.u.tsc_info.tsc_mode;
        return 0;
    case XEN_DOMCTL_sendtrigger:
        if (op.u.sendtrigger.vcpu >= d.max_vcpus) return fail(Errno::ESRCH);
        if (op.u.sendtrigger.trigger != XEN_DOMCTL_SENDTRIGGER_NMI) return fail(Errno::ENOSYS);
        ++d.nmis;
        return 0;
    case XEN_DOMCTL_getvcpuinfo: {
        auto& info = op.u.getvcpuinfo;
        if (info.vcpu >= d.max_vcpus) return fail(Errno::EINVAL);
        info = {.vcpu = info.vcpu,
                .online = control || d.contexts.contains(info.vcpu),
                .blocked = d.blocked,
                .running = d.pauses == 0 && !d.blocked,
                .cpu_time = d.cpu_time_ns,
                .cpu = info.vcpu % cpus};
        return 0;
    }
    case XEN_DOMCTL_setvcpucontext: return control ? Outcome(fail(Errno::EINVAL)) : set_context(d, op.u.vcpucontext);
    case XEN_DOMCTL_getvcpucontext: return get_context(d, op.u.vcpucontext);
    case XEN_DOMCTL_getpageframeinfo3: return page_types(d, op.u.getpageframeinfo3);
    case XEN_DOMCTL_setvcpuaffinity: return affinity(d, op.u.vcpuaffinity, true);
    case XEN_DOMCTL_getvcpuaffinity: return affinity(d, op.u.vcpuaffinity, false);
    case XEN_DOMCTL_scheduler_op: return share(d, op.u.scheduler_op);
    case XEN_DOMCTL_hypercall_init:
        if (!d.frames.contains(op.u.hypercall_init.gmfn)) return fail(Errno::EACCES);
        d.hypercall_pages.insert(op.u.hypercall_init.gmfn);
        return 0;
    case XEN_DOMCTL_gdbsx_guestmemio: return guest_memory(op.domain, d, op.u.gdbsx_guest_memio);
    default: return fail(Errno::ENOSYS);
    }
}

FakePort::Outcome FakePort::create(xen_domctl_t& op) {
    const auto& c = op.u.createdomain;
    const unsigned version = XEN_DOMCTL_GRANT_version(c.grant_opts);
    if (c.flags != 0 || c.iommu_opts != 0 || c.vmtrace_size != 0 || c.cpupool_id != 0 || version < 1 || version > 2 ||
        c.max_grant_frames == 0 || c.max_vcpus == 0 || c.max_vcpus > 128)
        return fail(Errno::EINVAL);
    if (op.domain != 0 && domains.contains(op.domain)) return fail(Errno::EEXIST);
    if (free_.size() < 2) return fail(Errno::ENOMEM);
    FakeDomain d;
    std::ranges::copy(c.handle, d.handle.bytes.begin());
    d.max_vcpus = c.max_vcpus;
    d.max_event_ports = c.max_evtchn_port;
    d.ssid = c.ssidref;
    d.max_grant_frames = c.max_grant_frames;
    d.max_maptrack_frames = c.max_maptrack_frames;
    d.shared_info = *take_frames(0);
    d.grant_frame = *take_frames(0);
    if (op.domain == 0) op.domain = next_id_++;
    domains.emplace(op.domain, std::move(d));
    return 0;
}

FakePort::Outcome FakePort::destroy(domid_t id, FakeDomain& d) {
    if (id == 0) return fail(Errno::EINVAL);
    d.dying = true;
    if (destroy_rounds != 0) {
        --destroy_rounds;
        return fail(Errno::EAGAIN);
    }
    d.claim = 0;
    reap(id);
    return 0;
}

FakePort::Outcome FakePort::affinity(FakeDomain& d, const xen_domctl_vcpuaffinity& request, bool set) {
    if (request.flags != XEN_VCPUAFFINITY_HARD && request.flags != XEN_VCPUAFFINITY_SOFT) return fail(Errno::EINVAL);
    if (request.vcpu >= d.max_vcpus) return fail(Errno::ESRCH);
    const bool soft = request.flags == XEN_VCPUAFFINITY_SOFT;
    const auto& map = soft ? request.cpumap_soft : request.cpumap_hard;
    auto* const bytes = argument<std::uint8_t>(reinterpret_cast<std::uint64_t>(map.bitmap.p), (map.nr_bits + 7) / 8);
    if (bytes == nullptr) return fail(Errno::EFAULT);
    std::set<unsigned> all;
    for (unsigned cpu = 0; cpu < cpus; ++cpu) all.insert(cpu);
    auto& known = (soft ? d.soft : d.hard).try_emplace(request.vcpu, all).first->second;
    if (!set) {
        std::memset(bytes, 0, (map.nr_bits + 7) / 8);
        for (const unsigned cpu : known)
            if (cpu < map.nr_bits) bytes[cpu / 8] |= static_cast<std::uint8_t>(1 << cpu % 8);
        return 0;
    }
    std::set<unsigned> wanted;
    for (unsigned cpu = 0; cpu < std::min(map.nr_bits, cpus); ++cpu)
        if (bytes[cpu / 8] >> cpu % 8 & 1) wanted.insert(cpu);
    if (wanted.empty()) return fail(Errno::EINVAL);
    known = wanted;
    return 0;
}

FakePort::Outcome FakePort::share(FakeDomain& d, xen_domctl_scheduler_op& request) {
    if (request.sched_id != XEN_SCHEDULER_CREDIT2) return fail(Errno::EINVAL);
    auto& share = request.u.credit2;
    if (request.cmd == XEN_DOMCTL_SCHEDOP_getinfo) {
        share = {.weight = static_cast<std::uint16_t>(d.weight), .cap = static_cast<std::uint16_t>(d.cap)};
        return 0;
    }
    if (request.cmd != XEN_DOMCTL_SCHEDOP_putinfo) return fail(Errno::EINVAL);
    if (share.weight != 0) d.weight = share.weight;
    if (share.cap != 0xffff) d.cap = share.cap;
    return 0;
}

void FakePort::describe(domid_t id, const FakeDomain& d, xen_domctl_getdomaininfo_t& info) const {
    info = {};
    info.domain = id;
    if (d.dying) info.flags |= XEN_DOMINF_dying;
    if (d.shutdown_reason) info.flags |= XEN_DOMINF_shutdown | *d.shutdown_reason << XEN_DOMINF_shutdownshift;
    if (d.pauses != 0) info.flags |= XEN_DOMINF_paused;
    if (d.blocked) info.flags |= XEN_DOMINF_blocked;
    else if (d.pauses == 0 && !d.shutdown_reason && !d.dying) info.flags |= XEN_DOMINF_running;
    info.tot_pages = d.frames.size();
    info.max_pages = d.max_pages;
    info.outstanding_pages = d.claim;
    info.shared_info_frame = d.shared_info;
    info.cpu_time = d.cpu_time_ns;
    info.nr_online_vcpus = id == 0 ? d.max_vcpus : static_cast<std::uint32_t>(d.contexts.size());
    info.max_vcpu_id = d.max_vcpus - 1;
    info.ssidref = d.ssid;
    std::ranges::copy(d.handle.bytes, info.handle);
}

FakePort::Outcome FakePort::read_log(xen_sysctl_readconsole& op) {
    auto* const to = argument<char>(reinterpret_cast<std::uint64_t>(op.buffer.p), op.count);
    if (to == nullptr) return fail(Errno::EFAULT);
    const std::size_t from = op.incremental ? std::min<std::size_t>(op.index, log.size()) : 0;
    op.count = static_cast<std::uint32_t>(log.copy(to, op.count, from));
    op.index = static_cast<std::uint32_t>(from + op.count);
    if (op.clear) log.clear();
    return 0;
}

FakePort::Outcome FakePort::sysctl(xen_sysctl_t& op) {
    switch (op.cmd) {
    case XEN_SYSCTL_readconsole: return read_log(op.u.readconsole);
    case XEN_SYSCTL_physinfo: {
        auto& info = op.u.physinfo;
        info = {};
        info.threads_per_core = info.cores_per_socket = info.nr_nodes = 1;
        info.nr_cpus = cpus;
        info.max_cpu_id = cpus - 1;
        info.cpu_khz = 1'000'000;
        info.total_pages = total_pages_;
        info.free_pages = free_.size();
        for (const auto& [id, d] : domains) info.outstanding_pages += d.claim;
        return 0;
    }
    case XEN_SYSCTL_getdomaininfolist: {
        auto& request = op.u.getdomaininfolist;
        auto* const to = argument<xen_domctl_getdomaininfo_t>(reinterpret_cast<std::uint64_t>(request.buffer.p),
                                                              request.max_domains);
        if (to == nullptr) return fail(Errno::EFAULT);
        request.num_domains = 0;
        for (auto at = domains.lower_bound(request.first_domain);
             at != domains.end() && request.num_domains < request.max_domains; ++at)
            describe(at->first, at->second, to[request.num_domains++]);
        return 0;
    }
    case XEN_SYSCTL_debug_keys: {
        const auto* const from =
            argument<char>(reinterpret_cast<std::uint64_t>(op.u.debug_keys.keys.p), op.u.debug_keys.nr_keys);
        if (from == nullptr) return fail(Errno::EFAULT);
        keys.append(from, op.u.debug_keys.nr_keys);
        return 0;
    }
    case XEN_SYSCTL_getcpuinfo: {
        auto& request = op.u.getcpuinfo;
        auto* const to =
            argument<xen_sysctl_cpuinfo_t>(reinterpret_cast<std::uint64_t>(request.info.p), request.max_cpus);
        if (to == nullptr) return fail(Errno::EFAULT);
        request.nr_cpus = std::min(request.max_cpus, cpus);
        for (unsigned cpu = 0; cpu < request.nr_cpus; ++cpu) to[cpu].idletime = 1000 + cpu;
        return 0;
    }
    default: return fail(Errno::ENOSYS);
    }
}

FakePort::Outcome FakePort::xen_version(std::uint32_t command, std::uint64_t address) {
    switch (command) {
    case XENVER_version: return 4u << 16 | 17;
    case XENVER_extraversion: {
        auto* const extra = argument<char>(address, XEN_EXTRAVERSION_LEN);
        if (extra == nullptr) return fail(Errno::EFAULT);
        std::strcpy(extra, ".0-streak");
        return 0;
    }
    case XENVER_build_id: {
        auto* const length = argument<std::uint32_t>(address);
        if (length == nullptr || !in_buffer(address + sizeof *length, *length)) return fail(Errno::EFAULT);
        if (*length < 20) return fail(Errno::ENOBUFS);
        std::memset(length + 1, 0x5a, 20);
        return 20;
    }
    default: return fail(Errno::ENOSYS);
    }
}

FakePort::Outcome FakePort::allocate_port(std::uint64_t address) {
    auto* const op = argument<evtchn_alloc_unbound_t>(address);
    if (op == nullptr) return fail(Errno::EFAULT);
    TRY_ASSIGN(d, domain_for(op->dom));
    op->port = 1;
    while (d->ports.contains(op->port)) ++op->port;
    if (op->port > d->max_event_ports) return fail(Errno::ENOSPC);
    d->ports[op->port] = op->remote_dom == DOMID_SELF ? 0 : op->remote_dom;
    return 0;
}

} // namespace streak::test
