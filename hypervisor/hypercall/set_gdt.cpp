// SPDX-License-Identifier: GPL-2.0-only

#include "hypercall/handlers.hpp"
#include "pv/descriptor_tables.hpp"

namespace streak::hypercall {

/// Replaces the calling vCPU's GDT by `entries` descriptors in machine frames (xen/arch-x86/xen.h).
/// EINVAL: too many entries, or a frame that can't hold descriptors; EFAULT.
Return set_gdt(GuestHandle<xen_ulong_t> frames, u32 entries) {
    TRY(may(xsm::Hook::set_gdt, caller()));
    if (entries > pv::max_gdt_entries) return fail(Errno::EINVAL);
    const u32 count = (entries + pv::descriptors_per_page - 1) / pv::descriptors_per_page;
    std::array<u64, FIRST_RESERVED_GDT_PAGE> list{};
    static_assert(std::is_same_v<xen_ulong_t, u64>);
    TRY(frames.read_array(std::span(list).first(count)));
    return answer(pv::set_gdt(current(), std::span(list).first(count), entries));
}

} // namespace streak::hypercall
