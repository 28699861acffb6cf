// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/grant_table_op.hpp"

#include <new>

#include "pv/grant_pte.hpp"

// Mapping and unmapping of grants. A mapping, known by its handle, holds a pin of the granter's entry, and references
// to the frame for each kind (host, device): the host kind's belong to the page-table entry.

namespace streak::hypercall {

namespace {

using grant::Granted;
using grant::Mapping;
using grant::Maptrack;
using grant::Status;

/// The page-table entry that the guest asked for.
[[nodiscard]] u64 entry_for(u32 flags, const Granted& g) {
    u64 entry = mm::pte::make(g.mfn(), mm::pte::present | mm::pte::user | mm::pte::accessed) |
                ((u64{flags} >> _GNTMAP_guest_avail0 << 9) & mm::pte::available);
    if (!(flags & GNTMAP_readonly)) entry |= mm::pte::writable | mm::pte::dirty;
    if (likely(g.cache_bits == 0)) return entry;
    return entry | (g.cache_bits & 1 ? mm::pte::write_through : 0) | (g.cache_bits & 2 ? mm::pte::cache_disable : 0) |
           (g.cache_bits & 4 ? mm::pte::pat : 0);
}

/// Takes the frame's references for each kind and writes the page-table entry. False: nothing is held.
[[nodiscard]] bool map_pinned(const gnttab_map_grant_ref_t& op, const Domain& granter, const Granted& g) {
    const bool write = !(op.flags & GNTMAP_readonly);
    const bool device = op.flags & GNTMAP_device_map;
    if (device && !grants::take_frame(granter, g.mfn(), write)) return false;
    if (!(op.flags & GNTMAP_host_map)) return true;
    if (grants::take_frame(granter, g.mfn(), write)) {
        if (pv::map_grant_pte(current(), {op.host_addr, (op.flags & GNTMAP_contains_pte) != 0}, entry_for(op.flags, g)))
            [[likely]]
            return true;
        grants::drop_frame(g.mfn(), write);
    }
    if (device) grants::drop_frame(g.mfn(), write);
    return false;
}

[[nodiscard]] Result<Maptrack::Claim> take_handle(Domain& mapper, const Mapping& mapping) {
    LockGuard guard(mapper.maptrack_lock);
    return mapper.maptrack->take(mapping);
}

[[nodiscard, gnu::flatten]] Status map_one(gnttab_map_grant_ref_t& op) {
    if (!(op.flags & Maptrack::kind_mask)) return Status::bad_gntref;
    Domain& mapper = caller();
    DomainRef held;
    Domain* granter = grants::find_granter(DomId(op.dom), held);
    if (!granter) return Status::bad_domain;
    if (!may(xsm::Hook::grant_map, *granter)) return Status::permission_denied;
    const GrantRef ref(op.ref);
    const bool write = !(op.flags & GNTMAP_readonly);
    auto granted = grants::pin(*granter, ref, {.user = mapper.id, .write = write, .map = true});
    if (!granted) return granted.error();
    const Granted& g = **granted;
    const Mapping mapping{
        .granter = granter->id,
        .flags = static_cast<u16>(op.flags & (Maptrack::kind_mask | GNTMAP_readonly | GNTMAP_contains_pte)),
        .ref = ref,
        .frame = g.frame,
        .generation = granter->grants->generation()};
    auto claim = take_handle(mapper, mapping);
    if (!claim) {
        grants::unpin(mapping.granter, mapping.generation, ref, write);
        return Status::no_space;
    }
    if (!map_pinned(op, *granter, g)) {
        grants::end(mapper, *claim);
        return Status::general_error;
    }
    op.handle = claim->handle.raw();
    op.dev_bus_addr = to_maddr(g.mfn()).raw();
    Maptrack::give_back(*claim); // whoever guesses the handle may use it from now on
    return Status::okay;
}

/// What an unmapping owes once stale translations are gone.
struct Ended {
    Maptrack::Claim claim;
    bool entry_wrote; ///< the page-table entry owned a writable reference
};

/// Room for a round of them; nothing is cleared beforehand, since most rounds have one.
class EndedList {
public:
    void push(const Ended& e) { ::new (&storage_[size_++ * sizeof(Ended)]) Ended(e); }
    void clear() { size_ = 0; }
    [[nodiscard]] const Ended* begin() const { return reinterpret_cast<const Ended*>(storage_); }
    [[nodiscard]] const Ended* end() const { return begin() + size_; }

private:
    u32 size_ = 0;
    alignas(Ended) u8 storage_[grant_round * sizeof(Ended)];
};

/// Gives back references, and with the last kind pin and handle.
inline void end_use(Domain& mapper, const Ended& e) {
    const Mapping& m = *e.claim.mapping;
    if (e.claim.kinds & GNTMAP_host_map) grants::drop_frame(Mfn(m.frame), e.entry_wrote);
    if (e.claim.kinds & GNTMAP_device_map) grants::drop_frame(Mfn(m.frame), !(m.flags & GNTMAP_readonly));
    if (Maptrack::finish(e.claim)) grants::end(mapper, e.claim);
}

/// Stale translations go first.
[[gnu::flatten]] void complete(EndedList& list) {
    if (list.begin() == list.end()) return;
    Domain& mapper = caller();
    tlb::flush(mapper.dirty_cpus, tlb::Flush::guest);
    for (const Ended& e : list) end_use(mapper, e);
    list.clear();
}

[[nodiscard]] pv::GrantPteAt entry_of(const Mapping& m, u64 host_address) {
    return {host_address, (m.flags & GNTMAP_contains_pte) != 0};
}

/// Claims `kinds` of a handle, changes the page tables by `change`, and notes what is owed. (A caller may name both
/// addresses of a mapping that has one kind only.)
template <class Change> [[nodiscard, gnu::always_inline]] inline Status end_mapping(GrantHandle handle, u16 kinds,
                                                                                    u64 device_address,
                                                                                    EndedList& ended, Change change) {
    const Maptrack::Claim claim = caller().maptrack->claim(handle, kinds);
    if (!claim.mapping) return Status::bad_handle;
    if (claim.kinds == 0) return Status::general_error;
    const Mapping& m = *claim.mapping;
    Status status = Status::okay;
    bool entry_wrote = false;
    if ((kinds & GNTMAP_device_map) && device_address != to_maddr(Mfn(m.frame)).raw()) {
        status = Status::bad_dev_addr;
    } else if (claim.kinds & GNTMAP_host_map) {
        Result<bool> changed = change(m);
        if (changed) entry_wrote = *changed;
        else status = Status::general_error;
    }
    if (likely(status == Status::okay)) ended.push({claim, entry_wrote});
    else Maptrack::give_back(claim);
    return status;
}

/// Goes through a list in rounds, with one flush for each.
template <class T, class One> [[nodiscard]] Return unmap_list(GuestHandle<T> list, u32 count, One one) {
    EndedList ended;
    for (u32 i = 0; i < count; ++i) {
        if (i != 0 && i % grant_round == 0) {
            complete(ended);
            if (preempt_pending()) return continue_list(list, count, i);
        }
        T op;
        if (list.read_into(op, i)) [[likely]] {
            op.status = static_cast<i16>(one(op, ended));
            if (likely(list.write(op, i))) continue;
        }
        complete(ended);
        return fail(Errno::EFAULT);
    }
    complete(ended);
    return 0;
}

} // namespace

Return grant_map(GuestHandle<gnttab_map_grant_ref_t> list, u32 count) {
    return for_each_grant(list, count, [](auto& op) { return map_one(op); });
}

Return grant_unmap(GuestHandle<gnttab_unmap_grant_ref_t> list, u32 count) {
    TRY(may(xsm::Hook::grant_unmap, caller()));
    return unmap_list(list, count, [](const gnttab_unmap_grant_ref_t& op, EndedList& ended) {
        const u16 kinds =
            static_cast<u16>((op.host_addr ? GNTMAP_host_map : 0) | (op.dev_bus_addr ? GNTMAP_device_map : 0));
        return end_mapping(GrantHandle(op.handle), kinds, op.dev_bus_addr, ended, [&op](const Mapping& m) {
            return pv::unmap_grant_pte(current(), entry_of(m, op.host_addr), Mfn(m.frame));
        });
    });
}

Return grant_unmap_and_replace(GuestHandle<gnttab_unmap_and_replace_t> list, u32 count) {
    TRY(may(xsm::Hook::grant_unmap, caller()));
    return unmap_list(list, count, [](const gnttab_unmap_and_replace_t& op, EndedList& ended) {
        return end_mapping(GrantHandle(op.handle), GNTMAP_host_map, 0, ended, [&op](const Mapping& m) {
            return pv::replace_grant_pte(current(), entry_of(m, op.host_addr), op.new_addr, Mfn(m.frame));
        });
    });
}

} // namespace streak::hypercall
