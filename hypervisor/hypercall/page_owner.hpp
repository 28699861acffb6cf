// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/tlb.hpp"
#include "hypercall/call.hpp"

namespace streak::hypercall {

/// Whose tables a page-table operation changes, and whose frames it may map.
struct PageOwner {
    Domain* tables = nullptr;
    DomId frames{};
    DomainRef tables_ref, frames_ref; ///< empty for the caller itself and for DOMID_IO, DOMID_XEN

    [[nodiscard]] bool self() const { return tables == &caller() && frames == caller().id; }
};

/// The same for anything but DOMID_SELF.
[[nodiscard]] Result<> find_foreign_owner(u32 foreign, bool packed, PageOwner& owner);

/// Decodes and authorises a "foreigndom": its low half names the owner of the frames (DOMID_SELF, DOMID_IO,
/// DOMID_XEN or a domain); with `packed`, its high half, if not 0, is one more than the owner of the
/// tables (xen/xen.h, mmu_update). ESRCH, EPERM, EINVAL.
[[nodiscard]] inline Result<> find_page_owner(u32 foreign, bool packed, PageOwner& owner) {
    owner.tables = &caller();
    owner.frames = owner.tables->id;
    if (likely(foreign == self_id.raw())) return {};
    return find_foreign_owner(foreign, packed, owner);
}

/// The CPUs on which the vCPUs of a guest's bitmap were last. EFAULT.
[[nodiscard]] Result<CpuMask> cpus_of_vcpus(GuestHandle<u8> bitmap);

} // namespace streak::hypercall
