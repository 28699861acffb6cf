// SPDX-License-Identifier: GPL-2.0-only
#include "domain/grants.hpp"

#include "domain/grant_use.hpp"
#include "lib/log.hpp"
#include "mm/heap.hpp"

namespace streak::grants {

namespace {

using grant::Maptrack;
using grant::Table;

constinit std::atomic<u32> next_generation{1};

[[nodiscard]] Mfn frame_of(const void* page) { return to_mfn(arch::direct_map_maddr(page)); }

/// A zeroed page that the domain may map.
[[nodiscard]] void* make_shared_page(const Domain& domain) {
    void* page = mm::alloc_zeroed_pages(0);
    if (page) mm::share_heap_page(page, domain.id, true);
    return page;
}

/// False while somebody maps the page.
[[nodiscard]] bool free_shared_page(void* page) {
    if (!mm::unshare_heap_page(page)) return false;
    mm::free_pages(page, 0);
    return true;
}

[[nodiscard]] Result<> add_statuses(Domain& d, u32 frames) {
    while (d.grants->status_count() < Table::statuses_for(frames)) {
        void* page = make_shared_page(d);
        if (!page) return fail(Errno::ENOMEM);
        d.grants->add_status_frame(page);
    }
    return {};
}

/// With the lock held.
[[nodiscard]] Result<> grow_locked(Domain& d, u32 frames) {
    Table& table = *d.grants;
    if (frames > table.max_frames()) return fail(Errno::EINVAL);
    if (table.version() == 2) TRY(add_statuses(d, frames));
    while (table.frame_count() < frames) {
        void* page = make_shared_page(d);
        if (!page) return fail(Errno::ENOMEM);
        table.add_frame(page);
    }
    return {};
}

/// Takes the status pages away again. EBUSY while the guest maps one of them: it keeps them all.
[[nodiscard]] Result<> drop_statuses(Domain& d) {
    Table& table = *d.grants;
    for (u32 i = 0; i < table.status_count(); ++i)
        if (!mm::unshare_heap_page(table.status_frame(i))) {
            while (i-- != 0) mm::share_heap_page(table.status_frame(i), d.id, true);
            return fail(Errno::EBUSY);
        }
    while (void* page = table.take_status_frame()) mm::free_pages(page, 0);
    return {};
}

} // namespace

Result<> create(Domain& domain, u32 max_frames, u32 max_maptrack_frames) {
    const u32 generation = next_generation.fetch_add(1, std::memory_order_relaxed);
    auto table = mm::make_owned<Table>(mm::heap_source, max_frames, generation);
    auto maptrack = mm::make_owned<Maptrack>(mm::heap_source, max_maptrack_frames);
    if (!table || !maptrack) return fail(Errno::ENOMEM);
    TRY(table->init());
    domain.grants = table.release();
    domain.maptrack = maptrack.release();
    return grow(domain, 1);
}

Result<> relinquish(Domain& domain) {
    if (!domain.maptrack) return {};
    constexpr u32 round = 512;
    u32 ended = 0;
    for (u32 h = 0; h < domain.maptrack->handle_count(); ++h) {
        const auto claim = domain.maptrack->claim(GrantHandle(h), Maptrack::kind_mask);
        if (!claim.mapping) continue;
        // A host mapping's references are its page-table entry's, which goes with the tables.
        if (claim.kinds & GNTMAP_device_map)
            drop_frame(Mfn(claim.mapping->frame), !(claim.mapping->flags & GNTMAP_readonly));
        if (Maptrack::finish(claim)) end(domain, claim);
        if (++ended == round) return fail(Errno::ERESTART);
    }
    return {};
}

void destroy(Domain& domain) {
    mm::Owned<Maptrack>{std::exchange(domain.maptrack, nullptr)}.reset();
    Table* table = std::exchange(domain.grants, nullptr);
    if (!table) return;
    u32 kept = 0;
    while (void* page = table->take_frame()) kept += !free_shared_page(page);
    while (void* page = table->take_status_frame()) kept += !free_shared_page(page);
    if (kept != 0) log_warning("d{}: {} grant frames are still mapped somewhere and stay allocated", domain.id, kept);
    mm::Owned<Table>{table}.reset();
}

bool frames_in_use(Domain& domain) {
    LockGuard guard(domain.grant_lock);
    const Table& table = *domain.grants;
    for (u32 i = 0; i < table.frame_count(); ++i)
        if (mm::heap_page_in_use(table.frame(i))) return true;
    for (u32 i = 0; i < table.status_count(); ++i)
        if (mm::heap_page_in_use(table.status_frame(i))) return true;
    return false;
}

Result<> grow(Domain& domain, u32 frames) {
    LockGuard guard(domain.grant_lock);
    return grow_locked(domain, frames);
}

Result<Mfn> shared_frame(Domain& domain, u32 index) {
    LockGuard guard(domain.grant_lock);
    if (index >= domain.grants->max_frames()) return fail(Errno::EINVAL);
    TRY(grow_locked(domain, index + 1));
    return frame_of(domain.grants->frame(index));
}

Result<Mfn> status_frame(Domain& domain, u32 index) {
    constexpr u32 frames_per_status = Table::statuses_per_frame / Table::entries_v2;
    LockGuard guard(domain.grant_lock);
    if (domain.grants->version() != 2 || index >= Table::statuses_for(domain.grants->max_frames()))
        return fail(Errno::EINVAL);
    TRY(grow_locked(domain, std::min((index + 1) * frames_per_status, domain.grants->max_frames())));
    return frame_of(domain.grants->status_frame(index));
}

Result<> set_version(Domain& domain, u32 version) {
    if (version != 1 && version != 2) return fail(Errno::EINVAL);
    if (version > domain.max_grant_version) return fail(Errno::ENOSYS);
    LockGuard guard(domain.grant_lock);
    Table& table = *domain.grants;
    if (table.version() == version) return {};
    TRY(table.can_set_version(version));
    if (version == 2) TRY(add_statuses(domain, table.frame_count()));
    else TRY(drop_statuses(domain));
    table.set_version(version);
    return {};
}

} // namespace streak::grants
