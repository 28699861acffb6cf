// SPDX-License-Identifier: GPL-2.0-only
#include "hv/hypervisor.hpp"

#include <algorithm>
#include <cstddef>

#include "base/text.hpp"
#include "hv/calls.hpp"

// What the hypervisor tells of domains and of the machine.

namespace streak::hv {

namespace {

constexpr std::size_t domains_per_call = 64;
constexpr std::uint32_t log_bytes_per_call = 16384;

DomainInfo to_info(const xen_domctl_getdomaininfo_t& from) {
    const auto flag = [&](std::uint32_t bit) { return (from.flags & bit) != 0; };
    DomainInfo info{.id = DomId(from.domain),
                    .handle = {},
                    .dying = flag(XEN_DOMINF_dying),
                    .shut_down = flag(XEN_DOMINF_shutdown),
                    .paused = flag(XEN_DOMINF_paused),
                    .blocked = flag(XEN_DOMINF_blocked),
                    .running = flag(XEN_DOMINF_running),
                    .shutdown_reason = from.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask,
                    .pages = from.tot_pages,
                    .max_pages = from.max_pages,
                    .shared_info = Mfn(from.shared_info_frame),
                    .cpu_time_ns = from.cpu_time,
                    .online_vcpus = from.nr_online_vcpus,
                    .max_vcpu_id = from.max_vcpu_id,
                    .ssid = from.ssidref};
    std::ranges::copy(from.handle, info.handle.bytes.begin());
    return info;
}

} // namespace

Result<DomainInfo> Hypervisor::info(DomId domain) {
    auto op = domctl(XEN_DOMCTL_getdomaininfo, domain);
    TRY(run(port_, op));
    // The next domain answers for an id that nobody has.
    if (op.u.getdomaininfo.domain != domain.raw()) return fail(Errno::ESRCH);
    return to_info(op.u.getdomaininfo);
}

Result<std::vector<DomainInfo>> Hypervisor::list() {
    const Buffer<xen_domctl_getdomaininfo_t> buffer(port_, domains_per_call);
    if (!buffer) return fail(Errno::ENOMEM);
    std::vector<DomainInfo> domains;
    for (std::uint32_t first = 0;;) {
        auto op = sysctl(XEN_SYSCTL_getdomaininfolist);
        auto& request = op.u.getdomaininfolist;
        request.first_domain = static_cast<domid_t>(first);
        request.max_domains = domains_per_call;
        set_xen_guest_handle(request.buffer, buffer.data());
        TRY(run(port_, op));
        if (request.num_domains > domains_per_call) return fail(Errno::EOVERFLOW);
        for (const auto& info : buffer.items().first(request.num_domains)) domains.push_back(to_info(info));
        if (request.num_domains < domains_per_call) return domains;
        first = domains.back().id.raw() + 1u;
        if (first >= first_reserved_id.raw()) return domains;
    }
}

Result<VcpuInfo> Hypervisor::vcpu_info(DomId domain, std::uint32_t vcpu) {
    auto op = domctl(XEN_DOMCTL_getvcpuinfo, domain);
    const auto& info = op.u.getvcpuinfo;
    op.u.getvcpuinfo.vcpu = vcpu;
    TRY(run(port_, op));
    return VcpuInfo{.online = info.online != 0,
                    .blocked = info.blocked != 0,
                    .running = info.running != 0,
                    .cpu_time_ns = info.cpu_time,
                    .cpu = info.cpu};
}

Result<HostInfo> Hypervisor::host_info() {
    auto op = sysctl(XEN_SYSCTL_physinfo);
    TRY(run(port_, op));
    const auto& info = op.u.physinfo;
    return HostInfo{.cpus = info.nr_cpus,
                    .nodes = info.nr_nodes,
                    .cpu_khz = info.cpu_khz,
                    .total_pages = info.total_pages,
                    .free_pages = info.free_pages,
                    .outstanding_pages = info.outstanding_pages};
}

Result<std::string> Hypervisor::version() {
    TRY_ASSIGN(version, port_.call(__HYPERVISOR_xen_version, {XENVER_version}));
    std::array<char, XEN_EXTRAVERSION_LEN> extra{};
    TRY(call_with(port_, __HYPERVISOR_xen_version, extra, unsigned{XENVER_extraversion}));
    const std::string_view text(extra.begin(), std::ranges::find(extra, '\0'));
    return std::to_string(version >> 16) + "." + std::to_string(version & 0xffff) + std::string(text);
}

Result<std::string> Hypervisor::build_id() {
    struct Id {
        std::uint32_t length = sizeof bytes;
        std::array<char, 64> bytes{};
    } id;
    static_assert(offsetof(Id, bytes) == offsetof(xen_build_id_t, buf));
    TRY_ASSIGN(length, call_with(port_, __HYPERVISOR_xen_version, id, unsigned{XENVER_build_id}));
    std::string text;
    for (const char byte : std::span(id.bytes).first(std::min(length, id.bytes.size()))) base::append_hex(text, byte);
    return text;
}

Result<std::string> Hypervisor::console_log(bool clear) {
    const Buffer<char> buffer(port_, log_bytes_per_call);
    if (!buffer) return fail(Errno::ENOMEM);
    std::string log;
    std::uint32_t index = 0;
    // What is cleared is what was read before, and whatever the last call adds.
    for (bool first = true, last = false;; first = false) {
        auto op = sysctl(XEN_SYSCTL_readconsole);
        auto& request = op.u.readconsole;
        request.clear = last;
        request.incremental = !first;
        request.index = index;
        request.count = log_bytes_per_call;
        set_xen_guest_handle(request.buffer, buffer.data());
        TRY(run(port_, op));
        const std::uint32_t count = std::min(request.count, log_bytes_per_call);
        log.append(buffer.data(), count);
        index = request.index;
        if (last || (count < log_bytes_per_call && !clear)) return log;
        last = count < log_bytes_per_call;
    }
}

Result<> Hypervisor::press_debug_keys(std::string_view keys) {
    const Buffer<char> buffer(port_, std::max<std::size_t>(keys.size(), 1));
    if (!buffer) return fail(Errno::ENOMEM);
    std::ranges::copy(keys, buffer.data());
    auto op = sysctl(XEN_SYSCTL_debug_keys);
    set_xen_guest_handle(op.u.debug_keys.keys, buffer.data());
    op.u.debug_keys.nr_keys = static_cast<std::uint32_t>(keys.size());
    return run(port_, op);
}

} // namespace streak::hv
