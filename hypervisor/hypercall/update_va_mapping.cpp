// SPDX-License-Identifier: GPL-2.0-only
#include "domain/locked_tables.hpp"
#include "hypercall/handlers.hpp"
#include "hypercall/page_owner.hpp"
#include "mm/guest_walk.hpp"

// HYPERVISOR_update_va_mapping and its _otherdomain form (xen/xen.h): one entry of the current address space,
// by the virtual address it translates.

namespace streak::hypercall {

namespace {

Result<> change_entry(u64 va, u64 value, const PageOwner& owner) {
    LockedTables tables(caller());
    const mm::L1Slot slot = mm::find_l1_slot(current().cr3_kernel, Vaddr(va));
    if (unlikely(!slot)) return fail(Errno::EINVAL);
    return tables->change_l1(*slot.entry, value, owner.frames, [](u64& entry, u64, u64 wanted) {
        __atomic_store_n(&entry, wanted, __ATOMIC_RELAXED);
        return true;
    });
}

/// The flush that `flags` asks for (UVMF_*): kind in the low bits, then local, all or a pointer to a bitmap.
Result<> flush_as_told(u64 va, u64 flags) {
    const u64 kind = flags & UVMF_FLUSHTYPE_MASK, targets = flags & ~UVMF_FLUSHTYPE_MASK;
    if (kind == UVMF_NONE) return {};
    const tlb::Flush what = kind == UVMF_INVLPG ? tlb::Flush::page : tlb::Flush::guest;
    if (targets == UVMF_LOCAL) tlb::flush_local(what, Vaddr(va));
    else if (targets == UVMF_ALL) tlb::flush(caller().dirty_cpus, what, Vaddr(va));
    else {
        TRY_ASSIGN(cpus, cpus_of_vcpus(GuestHandle<u8>(targets)));
        tlb::flush(cpus, what, Vaddr(va));
    }
    return {};
}

Return update(u64 va, u64 value, u64 flags, u32 foreign) {
    TRY(may(xsm::Hook::update_va_mapping, caller()));
    PageOwner owner;
    TRY(find_page_owner(foreign, false, owner));
    TRY(change_entry(va, value, owner));
    TRY(flush_as_told(va, flags));
    return 0;
}

} // namespace

Return update_va_mapping(u64 va, u64 value, u64 flags) { return update(va, value, flags, self_id.raw()); }

Return update_va_mapping_otherdomain(u64 va, u64 value, u64 flags, DomId domain) {
    return update(va, value, flags, domain.raw());
}

} // namespace streak::hypercall
