// SPDX-License-Identifier: GPL-2.0-only
#include "domain/locked_tables.hpp"

// The parts of mm/page_type.hpp that need a domain's lock and vCPUs.

namespace streak::mm {

namespace {

/// Drops the references to the frames of a stopped vCPU's GDT and LDT, which no CPU's window shows.
void release_descriptor_frames(PvState& pv) {
    for (auto* frames : {&pv.gdt_frames, &pv.ldt_frames})
        for (PageInfo*& frame : *frames)
            if (PageInfo* page = std::exchange(frame, nullptr)) put_page_and_type(*page);
    pv.gdt_frame_count = pv.gdt_entries = pv.ldt_entries = 0;
}

/// Drops the table a stopped vCPU's base pointer holds. ERESTART: what is left is owed.
Result<> drop_base(Domain& domain, Vcpu& vcpu, u64& cr3) {
    LockedTables tables(domain);
    TRY(tables->settle(vcpu.owed_table));
    if (const u64 base = std::exchange(cr3, 0))
        tables->release(page_of_unchecked(to_mfn(Maddr(base))), vcpu.owed_table);
    return vcpu.owed_table ? fail(Errno::ERESTART) : Result<>{};
}

/// The first frame of the account at or after `after` (nullptr: from the start), with a reference.
PageInfo* next_frame(Domain& domain, PageInfo* after) {
    LockGuard guard(domain.pages.lock);
    u32 frame = after ? after->next : domain.pages.first;
    while (frame != no_frame) {
        PageInfo& page = page_of_unchecked(Mfn(frame));
        if (get_page(page, domain.id)) return &page;
        frame = page.next; // on its way out on another CPU, which waits for the lock
    }
    return nullptr;
}

} // namespace

Result<> unpin_if_pinned(Domain& domain, PageInfo& page) {
    if (likely(!(page.type.load(std::memory_order_relaxed) & type_bits::pinned))) return {};
    LockedTables tables(domain);
    if (!(page.type.load(std::memory_order_relaxed) & type_bits::pinned)) return {};
    return tables->unpin(page);
}

Result<> pin_l4(Domain& domain, Mfn l4) {
    PageInfo* page = page_of(l4);
    if (!page) return fail(Errno::EINVAL);
    LockedTables tables(domain);
    Result<> pinned = tables->pin(*page, 4);
    while (!pinned && pinned.error() == Errno::ERESTART) {
        tables->refill();
        pinned = tables->pin(*page, 4);
    }
    return pinned;
}

Result<> relinquish_memory(Domain& domain) {
    for (u32 i = 0; i < domain.max_vcpus; ++i) {
        Vcpu* vcpu = domain.vcpus[i];
        if (!vcpu) continue;
        release_descriptor_frames(vcpu->pv);
        TRY(drop_base(domain, *vcpu, vcpu->cr3_kernel));
        TRY(drop_base(domain, *vcpu, vcpu->cr3_user));
    }
    constexpr unsigned frames_per_step = 512;
    unsigned done = 0;
    PageInfo* page = domain.relinquish_at ? std::exchange(domain.relinquish_at, nullptr) : next_frame(domain, nullptr);
    while (page) {
        if (++done > frames_per_step || !unpin_if_pinned(domain, *page)) {
            domain.relinquish_at = page; // its reference keeps it on the list
            return fail(Errno::ERESTART);
        }
        release_allocation(*page);
        PageInfo* next = next_frame(domain, page);
        put_page(*page);
        page = next;
    }
    return {};
}

} // namespace streak::mm
