// SPDX-License-Identifier: GPL-2.0-only
#include "domain/domain.hpp"
#include "domain/notify.hpp"
#include "domain/pirq.hpp"
#include "evtchn/delivery_fifo.hpp"
#include "grant/maptrack.hpp"
#include "tests/invariants/invariants.hpp"

// What domains and vCPUs hold of frames.

namespace streak::invariants {

using mm::PageType;

namespace {

void hold_base(u64 cr3) {
    if (cr3 != 0) hold(mm::page_of_unchecked(to_mfn(Maddr(cr3))), PageType::l4);
}

void count_vcpu(const Vcpu& v) {
    hold_base(v.cr3_kernel);
    hold_base(v.cr3_user);
    if (v.owed_table) hold(*v.owed_table, mm::type_bits::type(v.owed_table->type.load()));
    if (v.info_page) hold(*v.info_page, PageType::writable);
    for (u32 i = 0; i < v.pv.gdt_frames.size(); ++i) {
        if (i < v.pv.gdt_frame_count) hold(*v.pv.gdt_frames[i], PageType::segment_descriptor);
        else if (v.pv.gdt_frames[i]) broken("d{}v{}: {} GDT frames expected, more found", v.domain->id, v.id, i);
    }
    for (const mm::PageInfo* page : v.pv.ldt_frames)
        if (page) hold(*page, PageType::segment_descriptor);
    require_free(v.virq_lock, "virq_lock", v.domain->id.raw());
}

void count_fifo(const evtchn::Fifo& fifo) {
    for (u32 i = 0; i < fifo.vcpus(); ++i) hold_at(fifo.control_page(VcpuId(i)), PageType::writable);
    for (u32 i = 0; i < fifo.page_count(); ++i) hold_at(fifo.array_page(i), PageType::writable);
}

/// Mappings for devices hold the frame themselves; those of the host are the page-table entries'.
void count_mapping(const Domain& d, const grant::Mapping& m) {
    const bool write = !(m.flags & GNTMAP_readonly);
    Expected& e = expected(mm::page_of_unchecked(Mfn(m.frame)));
    if (m.flags & GNTMAP_device_map) {
        ++e.general;
        if (write) {
            ++e.typed;
            e.uses |= 1u << static_cast<unsigned>(PageType::writable);
        }
    }
    if (!(m.flags & GNTMAP_host_map) || d.privileged || d.subject.target != invalid_domid || m.granter == d.id) return;
    --e.foreign;
    if (write) --e.foreign_rw;
}

void walk_frames(const mm::DomainPages& account) {
    u64 frames = 0;
    u32 before = mm::no_frame;
    for (u32 at = account.first; at != mm::no_frame; ++frames) {
        const mm::PageInfo& page = mm::page_of_unchecked(Mfn(at));
        require_equal(page, "on the list of another domain, which is", account.id.raw(), page.owner);
        require_equal(page, "the frame before it on the list", before, page.prev);
        if (expected(page).listed) broken_frame(page, "how often it is on the list", 1, 2);
        expected(page).listed = true;
        before = at;
        at = page.next;
    }
    if (frames != account.total)
        broken("d{}: {} frames are charged, {} are on its list", account.id, account.total, frames);
}

void check_locks(const Domain& d) {
    const u64 id = d.id.raw();
    require_free(d.page_lock, "page_lock", id);
    require_free(d.context_lock, "context_lock", id);
    require_free(d.pages.lock, "pages.lock", id);
    require_free(d.event_lock, "event_lock", id);
    require_free(d.fifo_lock, "fifo_lock", id);
    require_free(d.grant_lock, "grant_lock", id);
    require_free(d.maptrack_lock, "maptrack_lock", id);
}

} // namespace

void count_domains() {
    for_each_domain([](const Domain& d) {
        check_locks(d);
        walk_frames(d.pages);
        d.for_each_vcpu(count_vcpu);
        if (d.relinquish_at) ++expected(*d.relinquish_at).general;
        if (d.fifo) count_fifo(*d.fifo);
        if (d.irqs) hold_at(d.irqs->eoi_map, PageType::writable);
        for (u32 h = 0; h < d.maptrack->handle_count(); ++h) {
            const grant::Mapping& m = d.maptrack->at(GrantHandle(h));
            if (m.flags & grant::Maptrack::kind_mask) count_mapping(d, m);
        }
    });
}

} // namespace streak::invariants
