// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <vector>

#include "hv/hypervisor.hpp"

// What debuggers ask the hypervisor about a guest.

namespace streak::debug {

/// The registers of those vCPUs that have been started, by number (XEN_DOMCTL_getvcpucontext).
[[nodiscard]] Result<std::vector<vcpu_guest_context_t>> contexts(hv::Port& port, const hv::DomainInfo& info);

/// Which of the frames are the domain's own (XEN_DOMCTL_getpageframeinfo3): one answer each.
[[nodiscard]] Result<std::vector<bool>> owned(hv::Port& port, DomId domain, std::span<const std::uint64_t> frames);

/// The machine's list of which guest page each frame is (XENMEM_machphys_mfn_list). What stands in it is the guests' own word.
class MachineToPhysical {
public:
    [[nodiscard]] static Result<MachineToPhysical> open(hv::Port& port);

    /// The guest's number for a frame. EINVAL: the machine has no such frame.
    [[nodiscard]] Result<std::uint64_t> pfn(std::uint64_t frame);

private:
    static constexpr std::uint64_t per_page = page_size / sizeof(std::uint64_t);
    static constexpr std::uint64_t per_piece = (2 << 20) / sizeof(std::uint64_t);

    MachineToPhysical(hv::Port& port, std::vector<std::uint64_t> pieces) : port_(&port), pieces_(std::move(pieces)) {}

    hv::Port* port_;
    std::vector<std::uint64_t> pieces_; ///< the first frame of each 2 MiB of the list
    hv::Mapping mapping_;               ///< of its page number page_
    std::uint64_t page_ = 0;
};

} // namespace streak::debug
