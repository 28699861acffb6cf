// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/grant_table_op.hpp"

#include <new>

#include "arch/tlb.hpp"
#include "mm/grant_pte.hpp"
#include "mm/pte.hpp"

// Mapping and unmapping of grants. A mapping holds a pin of the granter's entry for each kind (host, device),
// known by its handle, and references to the frame: the host kind's belong to the page-table entry.

namespace streak::hypercall {

namespace {

using grant::Mapping;
using grant::Outcome;
using grant::Status;

[[nodiscard]] auto refuse(Status s) { return std::unexpected(s); }

/// The AVAIL and cache bits of the entry that the guest asked for.
[[nodiscard]] u64 extra_bits(u32 flags, u8 cache_bits)
{
    const u64 available = (u64{flags} >> _GNTMAP_guest_avail0 << 9) & mm::pte::available;
    const u64 cache = (cache_bits & 1 ? mm::pte::write_through : 0) |
                      (cache_bits & 2 ? mm::pte::cache_disable : 0) | (cache_bits & 4 ? mm::pte::pat : 0);
    return available | cache;
}

/// One kind of use: a pin and the references to the frame.
class GrantUse {
public:
    [[nodiscard]] Outcome<> begin(Domain& granter, GrantRef ref, bool write)
    {
        auto granted = grants::pin(granter, ref, {.user = caller().id, .write = write, .map = true});
        if (!granted)
            return refuse(granted.error());
        const u32 generation = granter.grants->generation();
        if (!grants::take_frame(granter, granted->frame, write)) {
            grants::unpin(granter.id, generation, ref, write);
            return refuse(Status::general_error);
        }
        mapping_ = {.granter = granter.id,
                    .flags = 0,
                    .ref = ref,
                    .frame = static_cast<u32>(granted->frame.raw()),
                    .generation = generation};
        cache_bits_ = granted->cache_bits;
        write_ = write;
        active_ = true;
        return {};
    }
    ~GrantUse()
    {
        if (!active_)
            return;
        grants::drop_frame(Mfn(mapping_.frame), write_);
        grants::unpin(mapping_.granter, mapping_.generation, mapping_.ref, write_);
    }
    GrantUse() = default;
    GrantUse(const GrantUse&) = delete;
    GrantUse& operator=(const GrantUse&) = delete;

    /// It lives on, under a handle.
    void keep() { active_ = false; }
    [[nodiscard]] const Mapping& mapping() const { return mapping_; }
    [[nodiscard]] u8 cache_bits() const { return cache_bits_; }

private:
    Mapping mapping_{};
    u8 cache_bits_ = 0;
    bool write_ = false;
    bool active_ = false;
};

[[nodiscard]] Outcome<GrantHandle> take_handle()
{
    LockGuard guard(caller().maptrack_lock);
    auto handle = caller().maptrack->take();
    return handle ? Outcome<GrantHandle>(*handle) : refuse(Status::no_space);
}

void put_handle(GrantHandle handle)
{
    LockGuard guard(caller().maptrack_lock);
    caller().maptrack->put(handle);
}

/// Maps under a handle that is taken already; the mapping as it is to be recorded.
[[nodiscard]] Outcome<Mapping> map_with_handle(const gnttab_map_grant_ref_t& op, Domain& granter)
{
    const bool write = !(op.flags & GNTMAP_readonly);
    GrantUse device, host;
    if (op.flags & GNTMAP_device_map)
        if (auto begun = device.begin(granter, GrantRef(op.ref), write); !begun)
            return refuse(begun.error());
    if (op.flags & GNTMAP_host_map) {
        if (auto begun = host.begin(granter, GrantRef(op.ref), write); !begun)
            return refuse(begun.error());
        const mm::GrantMapping wanted{.frame = Mfn(host.mapping().frame), .writable = write,
                                      .extra_bits = extra_bits(op.flags, host.cache_bits())};
        if (!mm::map_grant_pte(current(), {op.host_addr, (op.flags & GNTMAP_contains_pte) != 0}, wanted))
            return refuse(Status::general_error);
    }
    device.keep();
    host.keep();
    Mapping made = op.flags & GNTMAP_host_map ? host.mapping() : device.mapping();
    made.flags = static_cast<u16>(
        op.flags & (GNTMAP_host_map | GNTMAP_device_map | GNTMAP_readonly | GNTMAP_contains_pte));
    return made;
}

[[nodiscard]] Status map_one(gnttab_map_grant_ref_t& op)
{
    if (!(op.flags & (GNTMAP_host_map | GNTMAP_device_map)))
        return Status::bad_gntref;
    auto granter = find_domain(DomId(op.dom));
    if (!granter)
        return Status::bad_domain;
    if (!may(xsm::Hook::grant_map, **granter))
        return Status::permission_denied;
    auto handle = take_handle();
    if (!handle)
        return handle.error();
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

void end_use(const Mapping& m, bool writable_reference, bool write)
{
    grants::drop_frame(Mfn(m.frame), writable_reference);
    grants::unpin(m.granter, m.generation, m.ref, write);
}

/// Flushes, then gives back references, pins and handles.
void complete(EndedList& list)
{
    if (list.begin() == list.end())
        return;
    tlb::flush(caller().dirty_cpus, tlb::Flush::guest);
    for (const Ended& e : list) {
        const bool write = !(e.mapping.flags & GNTMAP_readonly);
        if (e.kinds & GNTMAP_host_map)
            end_use(e.mapping, e.entry_wrote, write);
        if (e.kinds & GNTMAP_device_map)
            end_use(e.mapping, write, write);
        LockGuard guard(caller().maptrack_lock);
        caller().maptrack->finish(e.handle);
    }
    list.clear();
}

[[nodiscard]] mm::GrantPteAt entry_of(const Mapping& m, u64 host_address)
{
    return {host_address, (m.flags & GNTMAP_contains_pte) != 0};
}

/// Claims `kinds` of a handle, changes the page tables by `change`, and notes what is owed.
template <class Change>
[[nodiscard]] Status end_mapping(GrantHandle handle, u16 kinds, u64 device_address, EndedList& ended,
                                 Change change) {
    Domain& d = caller();
    Mapping m;
    {
        LockGuard guard(d.maptrack_lock);
        auto known = d.maptrack->look_up(handle);
        if (!known)
            return Status::bad_handle;
        if ((kinds & GNTMAP_device_map) && device_address != to_maddr(Mfn(known->frame)).raw())
            return Status::bad_dev_addr;
        // A caller may name both addresses of a mapping that has one kind only.
        auto claimed = d.maptrack->claim(handle, kinds & known->flags);
        if (!claimed)
            return Status::general_error;
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
template <class T, class One>
[[nodiscard]] Return unmap_list(GuestHandle<T> list, u32 count, One one)
{
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

Return grant_map(GuestHandle<gnttab_map_grant_ref_t> list, u32 count)
{
    return for_each_grant(list, count, map_one);
}

Return grant_unmap(GuestHandle<gnttab_unmap_grant_ref_t> list, u32 count)
{
    TRY(may(xsm::Hook::grant_unmap, caller()));
    return unmap_list(list, count, [](const gnttab_unmap_grant_ref_t& op, EndedList& ended) {
        const u16 kinds = static_cast<u16>((op.host_addr ? GNTMAP_host_map : 0) |
                                           (op.dev_bus_addr ? GNTMAP_device_map : 0));
        return end_mapping(GrantHandle(op.handle), kinds, op.dev_bus_addr, ended, [&op](const Mapping& m) {
            return mm::unmap_grant_pte(current(), entry_of(m, op.host_addr), Mfn(m.frame));
        });
    });
}

Return grant_unmap_and_replace(GuestHandle<gnttab_unmap_and_replace_t> list, u32 count)
{
    TRY(may(xsm::Hook::grant_unmap, caller()));
    return unmap_list(list, count, [](const gnttab_unmap_and_replace_t& op, EndedList& ended) {
        return end_mapping(GrantHandle(op.handle), GNTMAP_host_map, 0, ended, [&op](const Mapping& m) {
            return mm::replace_grant_pte(current(), entry_of(m, op.host_addr), op.new_addr, Mfn(m.frame));
        });
    });
}

} // namespace streak::hypercall
