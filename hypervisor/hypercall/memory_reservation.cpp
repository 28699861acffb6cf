// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/memory_op.hpp"
#include "mm/dirty_log.hpp"
#include "mm/page_type.hpp"

namespace streak::hypercall {

namespace {

constexpr unsigned largest_guest_order = 9, largest_control_order = mm::max_order;

struct Extents {
    Domain& domain;
    GuestHandle<xen_pfn_t> list;
    u64 count;
    unsigned order;
    unsigned address_bits;
};

unsigned address_bits_of(const xen_memory_reservation_t& r) {
    const unsigned bits = r.mem_flags & 0xff;
    return bits == 0 ? 64 : bits;
}

Result<> give_back(Domain& domain, Mfn mfn) {
    mm::PageInfo* page = mm::page_of(mfn);
    if (!page || !mm::get_page(*page, domain.id)) return fail(Errno::EINVAL);
    Result<> unpinned = mm::unpin_if_pinned(domain, *page);
    const bool released = unpinned && mm::release_allocation(*page);
    mm::put_page(*page);
    if (!unpinned) return unpinned;
    return released ? Result<>{} : fail(Errno::EINVAL);
}

Result<> decrease(const Extents& e, u64 index) {
    TRY_ASSIGN(frame, e.list.read(index));
    for (u64 i = 0; i < (1ull << e.order); ++i) TRY(give_back(e.domain, Mfn(frame + i)));
    return {};
}

Result<> increase(const Extents& e, u64 index, bool populate) {
    u64 pfn = 0;
    if (populate) {
        TRY_ASSIGN(wanted, e.list.read(index));
        pfn = wanted;
    }
    TRY_ASSIGN(block, mm::alloc_domain_frames(e.domain.pages, e.order, e.address_bits));
    const Mfn first = mm::mfn_of(*block);
    for (u64 i = 0; populate && i < (1ull << e.order); ++i) mm::set_m2p(first + i, pfn + i);
    if (!e.list.is_null()) TRY(e.list.write(first.raw(), index));
    return {};
}

} // namespace

Return change_reservation(u32 op, u64 start, RawHandle argument) {
    TRY_ASSIGN(r, argument.as<xen_memory_reservation_t>().read());
    if (start >= r.nr_extents) return static_cast<i64>(start);
    TRY_ASSIGN(domain, find_domain(DomId(r.domid)));
    TRY(may(xsm::Hook::memory_reservation, *domain));
    const unsigned limit = caller().privileged ? largest_control_order : largest_guest_order;
    if (r.extent_order > limit || r.nr_extents > (~0ull >> extent_shift)) return static_cast<i64>(start);

    const Extents e{*domain, GUEST_HANDLE(r.extent_start), r.nr_extents, r.extent_order, address_bits_of(r)};
    for (u64 i = start; i < e.count; ++i) {
        if (i != start && preempt_pending()) {
            set_argument(0, op | (i << extent_shift));
            return fail(Errno::ERESTART);
        }
        const Result<> done =
            op == XENMEM_decrease_reservation ? decrease(e, i) : increase(e, i, op == XENMEM_populate_physmap);
        if (!done && done.error() == Errno::ERESTART) {
            set_argument(0, op | (i << extent_shift));
            return fail(Errno::ERESTART);
        }
        if (!done) return static_cast<i64>(i);
    }
    return static_cast<i64>(e.count);
}

} // namespace streak::hypercall
