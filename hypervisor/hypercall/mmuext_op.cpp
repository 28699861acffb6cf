// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "arch/cr.hpp"
#include "arch/smp.hpp"
#include "domain/context_switch.hpp"
#include "domain/locked_tables.hpp"
#include "hypercall/batch.hpp"
#include "hypercall/handlers.hpp"
#include "hypercall/page_owner.hpp"
#include "pv/descriptor_tables.hpp"

// HYPERVISOR_mmuext_op (xen/xen.h): pins, base pointers, TLB and cache flushes, LDT, whole pages.

namespace streak::hypercall {

namespace {

/// Repeats a step under the page lock until it is done, or something more urgent came up. ERESTART.
template <class Step> Result<> preemptible(Domain& domain, Step step) {
    for (;;) {
        Result<> result = [&] {
            LockedTables tables(domain);
            return step(tables);
        }();
        if (likely(!restart(result))) return result;
        if (preempt_pending()) return result;
    }
}

/// A frame of the owner, with a general reference.
Result<mm::PageInfo*> frame_of(u64 mfn, const PageOwner& owner) {
    mm::PageInfo* page = mm::page_of(Mfn(mfn));
    if (!page || !mm::get_page(*page, owner.frames)) return fail(Errno::EINVAL);
    return page;
}

Domain& frames_domain(const PageOwner& owner) { return owner.frames_ref ? *owner.frames_ref : caller(); }

/// DOMID_IO and DOMID_XEN have no tables.
Result<> check_has_tables(const PageOwner& owner) {
    if (owner.frames == io_id || owner.frames == xen_id) return fail(Errno::EPERM);
    return {};
}

Result<> pin(const mmuext_op_t& op, const PageOwner& owner) {
    TRY(check_has_tables(owner));
    Domain& domain = frames_domain(owner);
    TRY_ASSIGN(page, frame_of(op.arg1.mfn, owner));
    const Result<> result = preemptible(domain, [&](LockedTables& tables) -> Result<> {
        if (domain.dying) return fail(Errno::EINVAL);
        return tables->pin(*page, op.cmd - MMUEXT_PIN_L1_TABLE + 1);
    });
    mm::put_page(*page);
    return result;
}

Result<> unpin(const mmuext_op_t& op, const PageOwner& owner) {
    TRY(check_has_tables(owner));
    TRY_ASSIGN(page, frame_of(op.arg1.mfn, owner));
    const Result<> result =
        preemptible(frames_domain(owner), [&](LockedTables& tables) { return tables->unpin(*page); });
    mm::put_page(*page);
    return result;
}

/// The type references of base pointers: takes the new one, lets `install` use it, releases the old one.
/// What can't be released at once is owed and settled before the vCPU's next such call.
template <class Install> Result<> switch_base(u64& base, u64 wanted, Install install) {
    Vcpu& vcpu = current();
    mm::PageInfo* page = mm::page_of(to_mfn(Maddr(wanted)));
    if (wanted != 0 && (!page || wanted != (wanted & mm::pte::address_mask))) return fail(Errno::EINVAL);
    return preemptible(*vcpu.domain, [&](LockedTables& tables) -> Result<> {
        if (wanted != 0) TRY(tables->acquire(*page, 4, vcpu.owed_table));
        else TRY(tables->settle(vcpu.owed_table));
        const u64 old = std::exchange(base, wanted);
        install();
        if (old != 0) tables->release(mm::page_of_unchecked(to_mfn(Maddr(old))), vcpu.owed_table);
        return {};
    });
}

Result<> new_base(u64 mfn) {
    Vcpu& vcpu = current();
    const u64 wanted = to_maddr(Mfn(mfn)).raw();
    if (wanted == 0) return fail(Errno::EINVAL);
    if (wanted == vcpu.cr3_kernel) {
        load_tables(vcpu);
        return {};
    }
    return switch_base(vcpu.cr3_kernel, wanted, [&] { load_tables(vcpu); });
}

Result<> new_user_base(u64 mfn) {
    Vcpu& vcpu = current();
    const u64 wanted = to_maddr(Mfn(mfn)).raw();
    if (wanted == vcpu.cr3_user) return {};
    return switch_base(vcpu.cr3_user, wanted, [&] { use_user_base(vcpu); });
}

Result<> flush_vcpus(const mmuext_op_t& op, tlb::Flush kind) {
    TRY_ASSIGN(cpus, cpus_of_vcpus(GuestHandle<u8>(reinterpret_cast<u64>(op.arg2.vcpumask.p))));
    tlb::flush(cpus, kind, Vaddr(op.arg1.linear_addr));
    return {};
}

Result<> flush_cache(bool everywhere) {
    if (!caller().privileged) return fail(Errno::EACCES);
    arch::write_back_caches();
    if (everywhere) {
        const CpuId here = arch::cpu_id();
        smp::online().for_each([&](CpuId cpu) {
            if (cpu != here) smp::call_on(cpu, [](void*) { arch::write_back_caches(); }, nullptr);
        });
    }
    return {};
}

/// MMUEXT_CLEAR_PAGE, MMUEXT_COPY_PAGE: `source` nullptr clears.
Result<> fill_page(u64 mfn, const PageOwner& owner, const mm::PageInfo* source) {
    mm::PageInfo* page = mm::page_of(Mfn(mfn));
    if (!page) return fail(Errno::EINVAL);
    TRY(mm::get_page_and_type(*page, owner.frames, mm::PageType::writable));
    if (source) std::memcpy(mm::page_memory(*page), mm::page_memory(*source), page_size);
    else std::memset(mm::page_memory(*page), 0, page_size);
    mm::put_page_and_type(*page);
    return {};
}

Result<> copy_page(const mmuext_op_t& op, const PageOwner& owner) {
    TRY_ASSIGN(source, frame_of(op.arg2.src_mfn, owner));
    const Result<> copied = fill_page(op.arg1.mfn, owner, source);
    mm::put_page(*source);
    return copied;
}

/// Operations on the caller itself.
Result<> carry_out_own(const mmuext_op_t& op) {
    switch (op.cmd) {
    case MMUEXT_NEW_BASEPTR: return new_base(op.arg1.mfn);
    case MMUEXT_NEW_USER_BASEPTR: return new_user_base(op.arg1.mfn);
    case MMUEXT_TLB_FLUSH_LOCAL: tlb::flush_local(tlb::Flush::guest); return {};
    case MMUEXT_INVLPG_LOCAL: tlb::flush_local(tlb::Flush::page, Vaddr(op.arg1.linear_addr)); return {};
    case MMUEXT_TLB_FLUSH_MULTI: return flush_vcpus(op, tlb::Flush::guest);
    case MMUEXT_INVLPG_MULTI: return flush_vcpus(op, tlb::Flush::page);
    case MMUEXT_TLB_FLUSH_ALL: tlb::flush(caller().dirty_cpus, tlb::Flush::guest); return {};
    case MMUEXT_INVLPG_ALL: tlb::flush(caller().dirty_cpus, tlb::Flush::page, Vaddr(op.arg1.linear_addr)); return {};
    case MMUEXT_FLUSH_CACHE: return flush_cache(false);
    case MMUEXT_FLUSH_CACHE_GLOBAL: return flush_cache(true);
    case MMUEXT_SET_LDT: return pv::set_ldt(current(), op.arg1.linear_addr, op.arg2.nr_ents);
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER: return fail(Errno::EOPNOTSUPP);
    default: return fail(Errno::ENOSYS);
    }
}

Result<> carry_out(const mmuext_op_t& op, const PageOwner& owner) {
    switch (op.cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE: return pin(op, owner);
    case MMUEXT_UNPIN_TABLE: return unpin(op, owner);
    case MMUEXT_CLEAR_PAGE: return fill_page(op.arg1.mfn, owner, nullptr);
    case MMUEXT_COPY_PAGE: return copy_page(op, owner);
    default:
        if (!owner.self()) return fail(Errno::EPERM);
        return carry_out_own(op);
    }
}

/// Undoes what base pointers left over. ERESTART.
Result<> settle_owed() {
    Vcpu& vcpu = current();
    if (likely(!vcpu.owed_table)) return {};
    return preemptible(*vcpu.domain, [&](LockedTables& tables) { return tables->settle(vcpu.owed_table); });
}

/// All operations until one fails or the call is preempted; `at` counts those done.
Result<> carry_out_all(GuestHandle<mmuext_op_t> ops, u32 count, const PageOwner& owner, u32& at) {
    for (; at < count; ++at) {
        if (at != 0 && at % 8 == 0 && preempt_pending()) return fail(Errno::ERESTART);
        TRY_ASSIGN(op, ops.read(at));
        TRY(carry_out(op, owner));
    }
    return settle_owed();
}

} // namespace

Return mmuext_op(GuestHandle<mmuext_op_t> ops, u32 count, GuestHandle<u32> done, u32 foreign) {
    TRY_ASSIGN(batch, Batch<mmuext_op_t>::begin(ops, count, done));
    PageOwner owner;
    if (const auto found = find_page_owner(foreign & 0xffff, false, owner); !found) return batch.end(0, found);
    if (const auto allowed = may(xsm::Hook::mmuext_op, frames_domain(owner)); !allowed) return batch.end(0, allowed);
    u32 at = 0;
    const Result<> result = carry_out_all(ops, batch.count, owner, at);
    return batch.end(at, result);
}

} // namespace streak::hypercall
