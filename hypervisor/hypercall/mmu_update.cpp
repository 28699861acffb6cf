// SPDX-License-Identifier: GPL-2.0-only
#include "domain/locked_tables.hpp"
#include "hypercall/batch.hpp"
#include "hypercall/handlers.hpp"
#include "hypercall/page_owner.hpp"

// HYPERVISOR_mmu_update (xen/xen.h): changes of page-table entries and of the M2P, in batches. Requests are
// carried out under the page lock in runs; between runs the call can be preempted.

namespace streak::hypercall {

namespace {

constexpr u32 run_length = 32;
constexpr u64 command_mask = sizeof(u64) - 1;

/// Whose tables are changed, and whose frames they may get to map.
struct Target {
    Domain& tables;
    DomId frames;
};

/// Stores an entry; on demand keeps the accessed and dirty bits, even if the processor sets them meanwhile.
struct StoreEntry {
    bool preserve;

    bool operator()(u64& slot, u64 old, u64 entry) const {
        if (!preserve) {
            __atomic_store_n(&slot, entry, __ATOMIC_RELAXED);
            return true;
        }
        while (!__atomic_compare_exchange_n(&slot, &old, entry | (old & mm::pte::accessed_dirty), true,
                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED));
        return true;
    }
};

/// An ordinary frame of the guest is written as data.
Result<> write_data(Domain& owner, mm::PageInfo& page, unsigned index, u64 value) {
    TRY(mm::get_page_and_type(page, owner.id, mm::PageType::writable));
    __atomic_store_n(&mm::HostEnv::entries(page)[index], value, __ATOMIC_RELAXED);
    mm::put_page_and_type(page);
    return {};
}

Result<> update_entry(LockedTables& tables, const Target& target, const mmu_update_t& request, mm::OwedTable& owed,
                      StoreEntry write) {
    mm::PageInfo* page = mm::HostEnv::page(to_mfn(Maddr(request.ptr)));
    if (unlikely(!page || page->owner_id() != target.tables.id)) return fail(Errno::EINVAL);
    const unsigned index = static_cast<unsigned>(request.ptr / sizeof(u64)) % mm::pte::entries;
    const u64 word = page->type.load(std::memory_order_relaxed);
    if (mm::type_bits::type(word) == mm::PageType::l1 && (word & mm::type_bits::validated)) [[likely]]
        return tables->change_l1(mm::HostEnv::entries(*page)[index], request.val, target.frames, write);
    if (mm::type_bits::is_table(word) && mm::type_bits::count(word) != 0) {
        if (!(word & mm::type_bits::validated)) return fail(Errno::EBUSY);
        return tables->change_upper(*page, index, request.val, write, owed);
    }
    return write_data(target.tables, *page, index, request.val);
}

/// MMU_MACHPHYS_UPDATE
Result<> update_m2p(const Target& target, const mmu_update_t& request) {
    const Mfn mfn = to_mfn(Maddr(request.ptr));
    mm::PageInfo* page = mm::page_of(mfn);
    if (!page || !mm::get_page(*page, target.frames)) return fail(Errno::EINVAL);
    mm::set_m2p(mfn, request.val);
    mm::put_page(*page);
    return {};
}

Result<> carry_out(LockedTables& tables, const Target& target, const mmu_update_t& request, mm::OwedTable& owed) {
    switch (request.ptr & command_mask) {
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_NO_TRANSLATE:
    case MMU_PT_UPDATE_PRESERVE_AD:
        return update_entry(tables, target, request, owed,
                            {.preserve = (request.ptr & command_mask) == MMU_PT_UPDATE_PRESERVE_AD});
    case MMU_MACHPHYS_UPDATE: return update_m2p(target, request);
    default: return fail(Errno::ENOSYS);
    }
}

/// Up to run_length requests under one hold of the lock; `at` counts those done.
[[gnu::noinline]] Result<> run(GuestHandle<mmu_update_t> requests, u32 count, const Target& target, mm::OwedTable& owed,
                               u32& at) {
    LockedTables tables(target.tables);
    u32 i = at;
    const u32 end = count - i > run_length ? i + run_length : count;
    Result<> result;
    for (; i < end; ++i) {
        mmu_update_t request;
        if (!arch::copy_from_guest(&request, requests.offset(i).address(), sizeof request)) [[unlikely]] {
            result = fail(Errno::EFAULT);
            break;
        }
        if (result = carry_out(tables, target, request, owed); unlikely(!result)) break;
    }
    at = i;
    return result;
}

Result<> settle(Domain& domain, mm::OwedTable& owed) {
    LockedTables tables(domain);
    return tables->settle(owed);
}

/// Goes on after a first run with `result`, until a request fails or all are done. ERESTART, if `preemptible`:
/// something more urgent came up; `at` counts those done, and `owed` may hold a table.
Result<> run_rest(GuestHandle<mmu_update_t> requests, u32 count, const Target& target, mm::OwedTable& owed,
                  bool preemptible, u32& at, Result<> result) {
    for (;; result = run(requests, count, target, owed, at)) {
        if (!result && !restart(result)) return result;
        if (result && at == count && !owed) return {};
        if (preempt_pending() && (preemptible || !owed)) return fail(Errno::ERESTART);
        if (owed && at == count) (void)settle(target.tables, owed);
    }
}

/// Everything but a short list for the caller's own tables and frames.
[[gnu::noinline]] Return update_any(const Batch<mmu_update_t>& batch, u32 foreign) {
    PageOwner owner;
    // A refused call tells that nothing was done: Linux goes on behind that number.
    if (const auto found = find_page_owner(foreign, true, owner); !found) return batch.end(0, found);
    if (const auto allowed = may(xsm::Hook::mmu_update, *owner.tables); !allowed) return batch.end(0, allowed);

    // What another domain's tables owe can't wait in the caller's vCPU: it is settled before the call ends.
    mm::OwedTable local = nullptr;
    const bool own = owner.tables == &caller();
    const Target target{*owner.tables, owner.frames};
    u32 at = 0;
    mm::OwedTable& owed = own ? current().owed_table : local;
    const Result<> first = run(batch.list, batch.count, target, owed, at);
    const Result<> result = run_rest(batch.list, batch.count, target, owed, own, at, first);
    while (local) (void)settle(target.tables, local);
    return batch.end(at, result);
}

} // namespace

Return mmu_update(GuestHandle<mmu_update_t> requests, u32 count, GuestHandle<u32> done, u32 foreign) {
    if (foreign != self_id.raw() || count > run_length) {
        TRY_ASSIGN(batch, Batch<mmu_update_t>::begin(requests, count, done));
        return update_any(batch, foreign);
    }
    Domain& own = caller();
    TRY(may(xsm::Hook::mmu_update, own));
    const Target target{own, own.id};
    mm::OwedTable& owed = current().owed_table;
    u32 at = 0;
    Result<> result = run(requests, count, target, owed, at);
    if (unlikely(!result || owed)) result = run_rest(requests, count, target, owed, true, at, result);
    if (likely(result && done.is_null())) return 0;
    return Batch<mmu_update_t>{requests, count, done}.end(at, result);
}

} // namespace streak::hypercall
