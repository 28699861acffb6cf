// SPDX-License-Identifier: GPL-2.0-only
#include "hv/hypervisor.hpp"

#include "hv/calls.hpp"

// Virtual CPUs: their state, where they may run, and how much.

namespace streak::hv {

namespace {

/// A bitmap of CPUs in hypercall memory.
class Bitmap {
public:
    Bitmap(Port& port, std::size_t bits) : bytes_(port, (bits + 7) / 8 + 1), bits_(bits) {}
    explicit operator bool() const { return static_cast<bool>(bytes_); }

    void refer_from(xenctl_bitmap& map) const {
        set_xen_guest_handle(map.bitmap, bytes_.data());
        map.nr_bits = static_cast<std::uint32_t>(bits_);
    }
    void set(std::size_t cpu) const { bytes_.data()[cpu / 8] |= static_cast<std::uint8_t>(1u << cpu % 8); }
    [[nodiscard]] bool test(std::size_t cpu) const { return (bytes_.data()[cpu / 8] >> cpu % 8 & 1) != 0; }

private:
    Buffer<std::uint8_t> bytes_;
    std::size_t bits_;
};

xen_domctl_t affinity_request(std::uint32_t command, DomId domain, std::uint32_t vcpu, bool soft, const Bitmap& map) {
    auto op = domctl(command, domain);
    auto& request = op.u.vcpuaffinity;
    request.vcpu = vcpu;
    request.flags = soft ? XEN_VCPUAFFINITY_SOFT : XEN_VCPUAFFINITY_HARD;
    map.refer_from(soft ? request.cpumap_soft : request.cpumap_hard);
    return op;
}

} // namespace

Result<> Hypervisor::set_context(DomId domain, std::uint32_t vcpu, const vcpu_guest_context_t& context) {
    const Buffer<vcpu_guest_context_t> buffer(port_);
    if (!buffer) return fail(Errno::ENOMEM);
    *buffer = context;
    auto op = domctl(XEN_DOMCTL_setvcpucontext, domain);
    op.u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, buffer.data());
    return run(port_, op);
}

Result<> Hypervisor::set_affinity(DomId domain, std::uint32_t vcpu, const CpuSet& cpus, bool soft) {
    const Bitmap map(port_, cpus.size());
    if (!map) return fail(Errno::ENOMEM);
    for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu)
        if (cpus[cpu]) map.set(cpu);
    auto op = affinity_request(XEN_DOMCTL_setvcpuaffinity, domain, vcpu, soft, map);
    return run(port_, op);
}

Result<CpuSet> Hypervisor::affinity(DomId domain, std::uint32_t vcpu, std::size_t count, bool soft) {
    const Bitmap map(port_, count);
    if (!map) return fail(Errno::ENOMEM);
    auto op = affinity_request(XEN_DOMCTL_getvcpuaffinity, domain, vcpu, soft, map);
    TRY(run(port_, op));
    CpuSet cpus(count);
    for (std::size_t cpu = 0; cpu < count; ++cpu) cpus[cpu] = map.test(cpu);
    return cpus;
}

Result<> Hypervisor::set_share(DomId domain, Share share) {
    auto op = domctl(XEN_DOMCTL_scheduler_op, domain);
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    op.u.scheduler_op.u.credit2 = {.weight = share.weight, .cap = share.cap};
    return run(port_, op);
}

} // namespace streak::hv
