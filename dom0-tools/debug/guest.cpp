// SPDX-License-Identifier: GPL-2.0-only
#include "debug/guest.hpp"

#include <algorithm>

#include "hv/calls.hpp"

namespace streak::debug {

Result<std::vector<vcpu_guest_context_t>> contexts(hv::Port& port, const hv::DomainInfo& info) {
    const hv::Buffer<vcpu_guest_context_t> buffer(port);
    if (!buffer) return fail(Errno::ENOMEM);
    std::vector<vcpu_guest_context_t> all;
    for (std::uint32_t i = 0; i <= info.max_vcpu_id; ++i) {
        auto op = hv::domctl(XEN_DOMCTL_getvcpucontext, info.id);
        op.u.vcpucontext.vcpu = i;
        set_xen_guest_handle(op.u.vcpucontext.ctxt, buffer.data());
        const auto done = hv::run(port, op);
        if (done) all.push_back(*buffer);
        else if (done.error() != Errno::ENODATA) return fail(done.error());
    }
    return all;
}

Result<std::vector<bool>> owned(hv::Port& port, DomId domain, std::span<const std::uint64_t> frames) {
    constexpr std::size_t most_at_once = 1024;
    const hv::Buffer<xen_pfn_t> buffer(port, most_at_once);
    if (!buffer) return fail(Errno::ENOMEM);
    std::vector<bool> all;
    while (all.size() < frames.size()) {
        const auto some = frames.subspan(all.size(), std::min(most_at_once, frames.size() - all.size()));
        std::ranges::copy(some, buffer.data());
        auto op = hv::domctl(XEN_DOMCTL_getpageframeinfo3, domain);
        op.u.getpageframeinfo3.num = some.size();
        set_xen_guest_handle(op.u.getpageframeinfo3.array, buffer.data());
        TRY(hv::run(port, op));
        for (const auto type : buffer.items().first(some.size()))
            all.push_back((type & XEN_DOMCTL_PFINFO_LTAB_MASK) != XEN_DOMCTL_PFINFO_XTAB);
    }
    return all;
}

Result<MachineToPhysical> MachineToPhysical::open(hv::Port& port) {
    constexpr std::size_t most_pieces = 8192; // 16 TiB of memory
    const hv::Buffer<xen_pfn_t> extents(port, most_pieces);
    if (!extents) return fail(Errno::ENOMEM);
    xen_machphys_mfn_list_t op{};
    op.max_extents = most_pieces;
    set_xen_guest_handle(op.extent_start, extents.data());
    TRY(hv::call_with(port, __HYPERVISOR_memory_op, op, unsigned{XENMEM_machphys_mfn_list}));
    const auto known = extents.items().first(std::min<std::size_t>(op.nr_extents, most_pieces));
    return MachineToPhysical(port, {known.begin(), known.end()});
}

Result<std::uint64_t> MachineToPhysical::pfn(std::uint64_t frame) {
    const std::uint64_t page = frame / per_page;
    if (page != page_ || mapping_.bytes().empty()) {
        if (frame / per_piece >= pieces_.size()) return fail(Errno::EINVAL);
        const std::uint64_t holder = pieces_[frame / per_piece] + page % (per_piece / per_page);
        TRY_ASSIGN(bytes, port_->map_foreign(xen_id, std::span(&holder, 1), false));
        mapping_ = hv::Mapping(*port_, bytes);
        page_ = page;
    }
    return mapping_.as<std::uint64_t>(frame % per_page * sizeof(std::uint64_t));
}

} // namespace streak::debug
