// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>

#include "hv/calls.hpp"
#include "hv/device.hpp"
#include "hv/event_channels.hpp"
#include "hv/hypervisor.hpp"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>

// Operations that no tool needs: tests ask the hypervisor and Linux for them.

namespace streak::probe {

[[nodiscard]] inline Result<> send_nmi(const hv::Hypervisor& hypervisor, DomId domain, std::uint32_t vcpu) {
    return hv::order(hypervisor.port(), XEN_DOMCTL_sendtrigger, domain,
                     [&](auto& u) { u.sendtrigger = {.trigger = XEN_DOMCTL_SENDTRIGGER_NMI, .vcpu = vcpu}; });
}

/// XENMEM_current_reservation of a domain, in pages.
[[nodiscard]] inline Result<std::uint64_t> current_reservation(const hv::Hypervisor& hypervisor, DomId domain) {
    domid_t id = domain.raw();
    return hv::call_with(hypervisor.port(), __HYPERVISOR_memory_op, id, unsigned{XENMEM_current_reservation});
}

[[nodiscard]] inline Result<hv::Hypervisor::Share> share(const hv::Hypervisor& hypervisor, DomId domain) {
    auto op = hv::domctl(XEN_DOMCTL_scheduler_op, domain);
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    TRY(hv::run(hypervisor.port(), op));
    return hv::Hypervisor::Share{.weight = op.u.scheduler_op.u.credit2.weight, .cap = op.u.scheduler_op.u.credit2.cap};
}

/// Idle time of each CPU since start, in ns.
[[nodiscard]] inline Result<std::vector<std::uint64_t>> cpu_idle_ns(const hv::Hypervisor& hypervisor) {
    constexpr std::uint32_t most_cpus = 4096;
    const hv::Buffer<xen_sysctl_cpuinfo_t> buffer(hypervisor.port(), most_cpus);
    if (!buffer) return fail(Errno::ENOMEM);
    auto op = hv::sysctl(XEN_SYSCTL_getcpuinfo);
    op.u.getcpuinfo.max_cpus = most_cpus;
    set_xen_guest_handle(op.u.getcpuinfo.info, buffer.data());
    TRY(hv::run(hypervisor.port(), op));
    std::vector<std::uint64_t> idle;
    for (const auto& cpu : buffer.items().first(std::min(op.u.getcpuinfo.nr_cpus, most_cpus)))
        idle.push_back(cpu.idletime);
    return idle;
}

/// XEN_DOMCTL_gdbsx_guestmemio: reads a guest's memory into some that is made present before.
[[nodiscard]] inline Result<> read_guest(const hv::Hypervisor& hypervisor, DomId domain, Mfn root,
                                         std::uint64_t address, std::span<std::byte> into) {
    std::ranges::fill(into, std::byte{});
    auto op = hv::domctl(XEN_DOMCTL_gdbsx_guestmemio, domain);
    auto& request = op.u.gdbsx_guest_memio;
    request.pgd3val = to_maddr(root).raw();
    request.gva = address;
    request.uva = reinterpret_cast<std::uint64_t>(into.data());
    request.len = request.remain = static_cast<std::uint32_t>(into.size());
    return hv::run(hypervisor.port(), op);
}

/// A port of this process that `remote` may bind.
[[nodiscard]] inline Result<EvtchnPort> unbound_port(const hv::EventChannels& channels, DomId remote) {
    ioctl_evtchn_bind_unbound_port request{remote.raw()};
    const int port = ::ioctl(channels.fd(), IOCTL_EVTCHN_BIND_UNBOUND_PORT, &request);
    if (port < 0) return base::last_error();
    return EvtchnPort(static_cast<std::uint32_t>(port));
}

/// A page of ours that another domain may map and write, through Linux's /dev/xen/gntalloc; taken back with its owner.
class SharedPage {
public:
    [[nodiscard]] static base::Outcome<SharedPage> grant(DomId domain) {
        SharedPage page;
        TRY_ASSIGN(device, hv::open_device("gntalloc"));
        page.device_ = std::move(device); // closing it takes the page back
        ioctl_gntalloc_alloc_gref request{};
        request.domid = domain.raw();
        request.flags = GNTALLOC_FLAG_WRITABLE;
        request.count = 1;
        if (::ioctl(page.device_.get(), IOCTL_GNTALLOC_ALLOC_GREF, &request) != 0)
            return base::errno_error("a page can't be shared", errno);
        page.ref_ = GrantRef(request.gref_ids[0]);
        void* const memory = ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, page.device_.get(),
                                    static_cast<off_t>(request.index));
        if (memory == MAP_FAILED) return base::errno_error("a shared page can't be mapped", errno);
        page.memory_.reset(static_cast<std::byte*>(memory));
        return page;
    }
    [[nodiscard]] GrantRef ref() const { return ref_; }
    [[nodiscard]] std::byte* data() const { return memory_.get(); }

private:
    struct Unmap {
        void operator()(std::byte* page) const { ::munmap(page, page_size); }
    };

    SharedPage() = default;

    base::Fd device_;
    GrantRef ref_{};
    std::unique_ptr<std::byte, Unmap> memory_;
};

} // namespace streak::probe
