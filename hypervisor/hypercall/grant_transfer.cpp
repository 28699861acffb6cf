// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/grant_table_op.hpp"

#include "arch/cr.hpp"
#include "arch/smp.hpp"

// GNTTABOP_transfer and GNTTABOP_cache_flush.

namespace streak::hypercall {

namespace {

using grant::Status;
using xsm::Hook;

/// Moves a frame that nobody but its allocation refers to between two accounts.
[[nodiscard]] Status move_frame(Domain& from, Domain& to, mm::PageInfo& page) {
    if (!mm::steal_frame(from.pages, page)) return Status::bad_page;
    tlb::flush(smp::online(), tlb::Flush::guest);
    if (mm::assign_frames(to.pages, page, 0)) {
        mm::uncharge(from.pages, 1);
        return Status::okay;
    }
    mm::replace_frames(from.pages, page, 0); // the receiver is full: it goes back
    return Status::general_error;
}

[[nodiscard]] Status transfer_one(const gnttab_transfer_t& op) {
    mm::PageInfo* page = mm::page_of(Mfn(op.mfn));
    if (!page || page->owner_id() != caller().id || (page->count.load() & mm::count_bits::shared_heap))
        return Status::bad_page;
    auto to = find_domain(DomId(op.domid));
    if (!to || (*to)->dying.load()) return Status::bad_domain;
    if (!may(Hook::grant_transfer, **to)) return Status::permission_denied;
    if (to->get() == &caller()) return Status::bad_domain;
    Domain& receiver = **to;
    {
        LockGuard guard(receiver.grant_lock);
        if (auto committed = receiver.grants->commit_transfer(GrantRef(op.ref), caller().id); !committed)
            return committed.error();
    }
    const Status moved = move_frame(caller(), receiver, *page);
    LockGuard guard(receiver.grant_lock);
    if (moved == Status::okay) receiver.grants->finish_transfer(GrantRef(op.ref), Mfn(op.mfn));
    else receiver.grants->cancel_transfer(GrantRef(op.ref));
    return moved;
}

/// May the caller's devices see this frame: its own, or granted to it?
[[nodiscard]] bool may_flush(Mfn frame) {
    mm::PageInfo* page = mm::page_of(frame);
    if (!page) return false;
    if (page->owner_id() == caller().id) return true;
    auto owner = find_domain(page->owner_id());
    if (!owner) return false;
    LockGuard guard((*owner)->grant_lock);
    return (*owner)->grants && (*owner)->grants->uses(caller().id, frame);
}

Return flush_one(const gnttab_cache_flush_t& op) {
    const u32 known = GNTTAB_CACHE_INVAL | GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_SOURCE_GREF;
    if ((op.op & ~known) || u32{op.offset} + op.length > page_size) return fail(Errno::EINVAL);
    if (op.length == 0 || !(op.op & (GNTTAB_CACHE_INVAL | GNTTAB_CACHE_CLEAN))) return 0;
    if (op.op & GNTTAB_CACHE_SOURCE_GREF) // by reference: in the ABI, but nowhere implemented
        return fail(Errno::EOPNOTSUPP);
    const Mfn frame = to_mfn(Maddr(op.a.dev_bus_addr));
    if (!may_flush(frame)) return fail(Errno::EPERM);
    const u8* from = arch::direct_map<const u8>(to_maddr(frame)) + op.offset;
    arch::flush_cache_lines(from, op.length);
    return 0;
}

} // namespace

Return grant_transfer(GuestHandle<gnttab_transfer_t> list, u32 count) {
    return for_each_grant(list, count, transfer_one);
}

Return grant_cache_flush(RawHandle arg, u32 count) {
    const auto list = arg.as<gnttab_cache_flush_t>();
    TRY(may(Hook::grant_cache_flush, caller()));
    for (u32 i = 0; i < count; ++i) {
        if (i != 0 && i % grant_round == 0 && preempt_pending()) return continue_list(list, count, i);
        TRY_ASSIGN(op, list.read(i));
        TRY(flush_one(op));
    }
    return 0;
}

} // namespace streak::hypercall
