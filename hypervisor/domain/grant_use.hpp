// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/grants.hpp"
#include "grant/pin.hpp"
#include "mm/host_env.hpp"

// Using a grant, inline: pins with their lock, the frame's references, and the end of a mapping.

namespace streak::grants {

/// find_domain() for a moment: `held` keeps another domain than the caller's. nullptr: none.
[[nodiscard]] inline Domain* find_granter(DomId id, DomainRef& held) {
    Domain* self = current().domain;
    if (likely(id == self->id)) return self;
    if (auto found = find_domain(id)) held = std::move(*found);
    return held.get();
}

/// Begins a use of a grant; the frame's references are taken apart (take_frame).
[[nodiscard]] inline grant::Outcome<const grant::Granted*> pin(Domain& granter, GrantRef ref, grant::Use use) {
    LockGuard guard(granter.grant_lock);
    if (unlikely(granter.dying)) return std::unexpected(grant::Status::bad_domain);
    return granter.grants->pin(ref, use);
}

/// Ends it; nothing happens when the granter is gone (`generation` no longer matches).
inline void unpin(DomId granter, u32 generation, GrantRef ref, bool write) {
    DomainRef held;
    Domain* d = find_granter(granter, held);
    if (!d) return;
    LockGuard guard(d->grant_lock);
    if (d->grants && d->grants->generation() == generation) d->grants->unpin(ref, write);
}

/// Nothing is left of a mapping: ends its pin and frees the handle.
inline void end(Domain& mapper, const grant::Maptrack::Claim& claim) {
    const grant::Mapping& m = *claim.mapping;
    unpin(m.granter, m.generation, m.ref, !(m.flags & GNTMAP_readonly));
    LockGuard guard(mapper.maptrack_lock);
    mapper.maptrack->put(claim);
}

/// A general (and writable) reference to a granted frame. nullptr: not the granter's RAM, or not writable.
[[nodiscard]] inline mm::PageInfo* take_frame(const Domain& granter, Mfn frame, bool write) {
    mm::PageInfo* page = mm::HostEnv::page(frame);
    if (unlikely(!page || !mm::take_reference(mm::host_env, *page, granter.id))) return nullptr;
    if (likely(!write || mm::take_shared_type(mm::host_env, *page, mm::PageType::writable))) return page;
    mm::HostEnv::put_page(*page);
    return nullptr;
}

inline void drop_frame(Mfn frame, bool write) {
    mm::PageInfo& page = mm::page_of_unchecked(frame);
    if (write) {
        mm::note_write(page);
        mm::drop_shared_type(mm::host_env, page);
    }
    mm::HostEnv::put_page(page);
}

} // namespace streak::grants
