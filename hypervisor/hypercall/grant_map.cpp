// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/grant_table_op.hpp"

#include <new>

#include "arch/tlb.hpp"
#include "mm/grant_pte.hpp"
#include "mm/pte.hpp"

// Mapping and unmapping of grants. A mapping, known by its handle, holds a pin of the granter's entry, and references
// to the frame for each kind (host, device): the host kind's belong to the page-table entry.

namespace streak::hypercall {

namespace {

using grant::Mapping;
using grant::Outcome;
using grant::Status;

[[nodiscard]] auto refuse(Status s) { return std::unexpected(s); }

/// The AVAIL and cache bits of the entry that the guest asked for.
[[nodiscard]] u64 extra_bits(u32 flags, u8 cache_bits) {
    const u64 available = (u64{flags} >> _GNTMAP_guest_avail0 << 9) & mm::pte::available;
    const u64 cache = (cache_bits & 1 ? mm::pte::write_through : 0) | (cache_bits & 2 ? mm::pte::cache_disable : 0) |
                      (cache_bits & 4 ? mm::pte::pat : 0);
    return available | cache;
}

[[nodiscard]] Outcome<GrantHandle> take_handle() {
    LockGuard guard(caller().maptrack_lock);
    auto handle = caller().maptrack->take();
    return handle ? Outcome<GrantHandle>(*handle) : refuse(Status::no_space);
}

void put_handle(GrantHandle handle) {
    LockGuard guard(caller().maptrack_lock);
    caller().maptrack->put(handle);
}

/// Takes the frame's references for each kind and writes the page-table entry. False: nothing is held.
[[nodiscard]] bool map_pinned(const gnttab_map_grant_ref_t& op, const Domain& granter, const grant::Granted& granted) {
    const bool write = !(op.flags & GNTMAP_readonly);
    const bool device = op.flags & GNTMAP_device_map;
    if (device && !grants::take_frame(granter, granted.frame, write)) return false;
    if (!(op.flags & GNTMAP_host_map)) return true;
    if (grants::take_frame(granter, granted.frame, write)) {
        const mm::GrantMapping wanted{
            .frame = granted.frame, .writable = write, .extra_bits = extra_bits(op.flags, granted.cache_bits)};
        if (mm::map_grant_pte(current(), {op.host_addr, (op.flags & GNTMAP_contains_pte) != 0}, wanted)) [[likely]]
            return true;
        grants::drop_frame(granted.frame, write);
    }
    if (device) grants::drop_frame(granted.frame, write);
    return false;
}

/// Maps under a handle that is taken already; the mapping as it is to be recorded.
[[nodiscard]] Outcome<Mapping> map_with_handle(const gnttab_map_grant_ref_t& op, Domain& granter) {
    const GrantRef ref(op.ref);
    const bool write = !(op.flags & GNTMAP_readonly);
    auto granted = grants::pin(granter, ref, {.user = caller().id, .write = write, .map = true});
    if (!granted) return refuse(granted.error());
    const u32 generation = granter.grants->generation();
    if (!map_pinned(op, granter, *granted)) {
        grants::unpin(granter.id, generation, ref, write);
        return refuse(Status::general_error);
    }
    constexpr u32 recorded = GNTMAP_host_map | GNTMAP_device_map | GNTMAP_readonly | GNTMAP_contains_pte;
    return Mapping{.granter = granter.id,
                   .flags = static_cast<u16>(op.flags & recorded),
                   .ref = ref,
                   .frame = static_cast<u32>(granted->frame.raw()),
                   .generation = generation};
}

[[nodiscard]] Status map_one(gnttab_map_grant_ref_t& op) {
    if (!(op.flags & (GNTMAP_host_map | GNTMAP_device_map))) return Status::bad_gntref;
    auto granter = find_domain(DomId(op.dom));
    if (!granter) return Status::bad_domain;
    if (!may(xsm::Hook::grant_map, **granter)) return Status::permission_denied;
    auto handle = take_handle();
    if (!handle) return handle.error();
    auto made = map_with_handle(op, **granter);
    if (!made) {
        put_handle(*handle);
        return made.error();
    }
    {
        LockGuard guard(caller().maptrack_lock);
        caller().maptrack->set(*handle, *made);
    }
    op.handle = handle->raw();
    op.dev_bus_addr = to_maddr(Mfn(made->frame)).raw();
    return Status::okay;
}

/// What an unmapping owes once stale translations are gone.
struct Ended {
    Mapping mapping;
    GrantHandle handle;
    u16 kinds;
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
void end_use(const Ended& e) {
    const Mapping& m = e.mapping;
    const bool write = !(m.flags & GNTMAP_readonly);
    if (e.kinds & GNTMAP_host_map) grants::drop_frame(Mfn(m.frame), e.entry_wrote);
    if (e.kinds & GNTMAP_device_map) grants::drop_frame(Mfn(m.frame), write);
    caller().maptrack_lock.lock();
    const bool last = caller().maptrack->finish(e.handle, e.kinds);
    caller().maptrack_lock.unlock();
    if (last) grants::unpin(m.granter, m.generation, m.ref, write);
}

/// Stale translations go first.
void complete(EndedList& list) {
    if (list.begin() == list.end()) return;
    tlb::flush(caller().dirty_cpus, tlb::Flush::guest);
    for (const Ended& e : list) end_use(e);
    list.clear();
}

[[nodiscard]] mm::GrantPteAt entry_of(const Mapping& m, u64 host_address) {
    return {host_address, (m.flags & GNTMAP_contains_pte) != 0};
}

/// Claims `kinds` of a handle, changes the page tables by `change`, and notes what is owed.
template <class Change>
[[nodiscard]] Status end_mapping(GrantHandle handle, u16 kinds, u64 device_address, EndedList& ended, Change change) {
    Domain& d = caller();
    Mapping m;
    {
        LockGuard guard(d.maptrack_lock);
        auto known = d.maptrack->look_up(handle);
        if (!known) return Status::bad_handle;
        if ((kinds & GNTMAP_device_map) && device_address != to_maddr(Mfn(known->frame)).raw())
            return Status::bad_dev_addr;
        // A caller may name both addresses of a mapping that has one kind only.
        auto claimed = d.maptrack->claim(handle, kinds & known->flags);
        if (!claimed) return Status::general_error;
        m = *claimed;
        kinds &= m.flags;
    }
    bool entry_wrote = false;
    if (kinds & GNTMAP_host_map) {
        Result<bool> changed = change(m);
        if (!changed) {
            LockGuard guard(d.maptrack_lock);
            d.maptrack->give_back(handle, kinds);
            return Status::general_error;
        }
        entry_wrote = *changed;
    }
    ended.push({m, handle, kinds, entry_wrote});
    return Status::okay;
}

/// Goes through a list in rounds, with one flush for each.
template <class T, class One> [[nodiscard]] Return unmap_list(GuestHandle<T> list, u32 count, One one) {
    EndedList ended;
    for (u32 i = 0; i < count; ++i) {
        if (i != 0 && i % grant_round == 0) {
            complete(ended);
            if (preempt_pending()) {
                set_argument(1, list.offset(i).address().raw());
                set_argument(2, count - i);
                return fail(Errno::ERESTART);
            }
        }
        auto op = list.read(i);
        Result<> written{};
        if (op) {
            op->status = static_cast<i16>(one(*op, ended));
            written = list.write(*op, i);
        }
        if (!op || !written) {
            complete(ended);
            return fail(Errno::EFAULT);
        }
    }
    complete(ended);
    return 0;
}

} // namespace

Return grant_map(GuestHandle<gnttab_map_grant_ref_t> list, u32 count) { return for_each_grant(list, count, map_one); }

Return grant_unmap(GuestHandle<gnttab_unmap_grant_ref_t> list, u32 count) {
    TRY(may(xsm::Hook::grant_unmap, caller()));
    return unmap_list(list, count, [](const gnttab_unmap_grant_ref_t& op, EndedList& ended) {
        const u16 kinds =
            static_cast<u16>((op.host_addr ? GNTMAP_host_map : 0) | (op.dev_bus_addr ? GNTMAP_device_map : 0));
        return end_mapping(GrantHandle(op.handle), kinds, op.dev_bus_addr, ended, [&op](const Mapping& m) {
            return mm::unmap_grant_pte(current(), entry_of(m, op.host_addr), Mfn(m.frame));
        });
    });
}

Return grant_unmap_and_replace(GuestHandle<gnttab_unmap_and_replace_t> list, u32 count) {
    TRY(may(xsm::Hook::grant_unmap, caller()));
    return unmap_list(list, count, [](const gnttab_unmap_and_replace_t& op, EndedList& ended) {
        return end_mapping(GrantHandle(op.handle), GNTMAP_host_map, 0, ended, [&op](const Mapping& m) {
            return mm::replace_grant_pte(current(), entry_of(m, op.host_addr), op.new_addr, Mfn(m.frame));
        });
    });
}

} // namespace streak::hypercall
