// SPDX-License-Identifier: GPL-2.0-only

#include "domain/held_frame.hpp"
#include "domain/scheduler.hpp"
#include "hypercall/domctl.hpp"

// DOMCTL_gdbsx_*, for debuggers. gdbsx_guestmemio: another domain's memory by virtual addresses. Its tables are data like any other here: they may
// not be validated yet, or change while they are read. So each frame on the way must be the domain's own and is kept by a
// reference while it is used.

namespace streak::hypercall {

namespace {

namespace pte = mm::pte;

/// Finds what addresses mean. The L1 table is kept for the pages that follow.
class Translation {
public:
    Translation(const Domain& domain, Mfn top) : domain_(domain), top_(top) {}

    /// Not a frame: nothing of the domain's is mapped there, or, to write, it is in use as a page table or the like.
    [[nodiscard]] HeldFrame open(u64 va, bool write) {
        if (!l1_ || l1_span_ != span(va)) l1_ = find_l1(va);
        return l1_ ? follow(read(l1_, va, 1), write) : HeldFrame{};
    }

private:
    [[nodiscard]] static u64 span(u64 va) { return va >> 21; }

    [[nodiscard]] static u64 read(const HeldFrame& table, u64 va, unsigned level) {
        return __atomic_load_n(table.memory<u64>() + pte::index(va, level), __ATOMIC_RELAXED);
    }

    [[nodiscard]] HeldFrame follow(u64 entry, bool write) const {
        return entry & pte::present ? HeldFrame(domain_, pte::frame(entry), write) : HeldFrame{};
    }

    [[nodiscard]] HeldFrame find_l1(u64 va) {
        HeldFrame table(domain_, top_, false);
        for (unsigned level = 4; level > 1 && table; --level) {
            const u64 entry = read(table, va, level);
            table = entry & pte::large ? HeldFrame{} : follow(entry, false);
        }
        l1_span_ = span(va);
        return table;
    }

    const Domain& domain_;
    const Mfn top_;
    HeldFrame l1_;
    u64 l1_span_ = 0;
};

/// What `pgd3val` stands for. 0: the tables of vCPU 0. A machine address of a page: the domain's L4 table there, which
/// need not be in use yet. An entry with its present bit, the ABI's meaning, belongs to 32-bit guests: EOPNOTSUPP.
[[nodiscard]] Result<Mfn> top_table(const Domain& d, u64 pgd3val) {
    if (pgd3val & pte::present) return fail(Errno::EOPNOTSUPP);
    const u64 address = pgd3val != 0 ? pgd3val : d.vcpus[0]->cr3_kernel;
    if (address == 0 || (address & ~pte::address_mask) != 0) return fail(Errno::EINVAL);
    return pte::frame(address);
}

/// The part of the request that lies in one page.
[[nodiscard]] Result<> copy_in_page(Translation& tables, xen_domctl_gdbsx_memio& io) {
    const u64 offset = io.gva % page_size;
    const u32 bytes = static_cast<u32>(std::min<u64>(io.len, page_size - offset));
    const HeldFrame frame = tables.open(io.gva, io.gwr != 0);
    if (!frame) return fail(Errno::EFAULT);
    u8* const memory = frame.memory<u8>() + offset;
    const bool copied = io.gwr ? arch::copy_from_guest_slow(memory, Vaddr(io.uva), bytes)
                               : arch::copy_to_guest_slow(Vaddr(io.uva), memory, bytes);
    if (!copied) return fail(Errno::EFAULT);
    io.gva += bytes;
    io.uva += bytes;
    io.len -= bytes;
    io.remain = io.len;
    return {};
}

} // namespace

/// EINVAL: no such vCPU, or the caller's; EBUSY: paused so already.
Result<> domctl_pause_vcpu(Domain& d, xen_domctl_t& op) {
    TRY_ASSIGN(vcpu, vcpu_of_other(d, op.u.gdbsx_pauseunp_vcpu.vcpu));
    if (vcpu->sched.debugger_pause.exchange(true)) return fail(Errno::EBUSY);
    scheduler::pause(*vcpu);
    return {};
}

/// EINVAL: no such vCPU, the caller's, or not paused so.
Result<> domctl_unpause_vcpu(Domain& d, xen_domctl_t& op) {
    TRY_ASSIGN(vcpu, vcpu_of_other(d, op.u.gdbsx_pauseunp_vcpu.vcpu));
    if (!vcpu->sched.debugger_pause.exchange(false)) return fail(Errno::EINVAL);
    scheduler::unpause(*vcpu);
    return {};
}

/// No vCPU is ever in a debugger's event: those are not kept.
Result<> domctl_debug_status(Domain& d, xen_domctl_t& op) {
    op.u.gdbsx_domstatus = {.paused = d.tool_pauses != 0, .vcpu_id = ~0u, .vcpu_ev = 0};
    return {};
}

/// The request holds what is left of it, also when it fails. EFAULT: one of the two sides is not mapped, or must not be
/// written; EINVAL: the caller itself, or addresses that are not a guest's.
Result<> domctl_guest_memory(Domain& d, xen_domctl_t& op) {
    xen_domctl_gdbsx_memio& io = op.u.gdbsx_guest_memio;
    io.remain = io.len;
    if (&d == &caller() || !arch::guest_range_ok(io.gva, io.len)) return fail(Errno::EINVAL);
    TRY_ASSIGN(top, top_table(d, io.pgd3val));
    Translation tables(d, top);
    while (io.len != 0) {
        TRY(copy_in_page(tables, io));
        if (io.len != 0 && preempt_pending()) return fail(Errno::ERESTART);
    }
    return {};
}

} // namespace streak::hypercall
