// SPDX-License-Identifier: GPL-2.0-only
#include "arch/smp.hpp"
#include "arch/tlb.hpp"
#include "hypercall/memory_op.hpp"
#include "mm/dirty_log.hpp"

// Exchange works on chunks of the larger extent's size. A chunk's new frames are allocated first, then its old
// frames are taken; when that fails at any frame, all of the chunk is put back and the call ends.

namespace streak::hypercall {

namespace {

constexpr unsigned largest_order = 9;
constexpr u64 most_frames = 1ull << largest_order;

using Frames = std::array<mm::PageInfo*, most_frames>;

struct Plan {
    Domain& domain;
    xen_memory_reservation_t in, out;
    unsigned chunk_order;
    unsigned address_bits;

    [[nodiscard]] u64 frames() const { return 1ull << chunk_order; }
    [[nodiscard]] u64 in_per_chunk() const { return 1ull << (chunk_order - in.extent_order); }
    [[nodiscard]] u64 out_per_chunk() const { return 1ull << (chunk_order - out.extent_order); }
    [[nodiscard]] u64 chunks() const { return in.nr_extents / in_per_chunk(); }
};

Result<> check(const xen_memory_exchange_t& x) {
    if (x.in.domid != x.out.domid || x.nr_exchanged > x.in.nr_extents) return fail(Errno::EINVAL);
    if (x.in.extent_order > largest_order || x.out.extent_order > largest_order) return fail(Errno::EPERM);
    if (x.in.nr_extents > (~0ull >> x.in.extent_order) || x.out.nr_extents > (~0ull >> x.out.extent_order) ||
        (x.in.nr_extents << x.in.extent_order) != (x.out.nr_extents << x.out.extent_order))
        return fail(Errno::EINVAL);
    return {};
}

/// The frames lose their types on the way: no CPU may keep a translation that is older.
void put_back(Domain& domain, Frames& frames, u64 count) {
    if (count != 0) tlb::flush(smp::online(), tlb::Flush::guest);
    for (u64 i = 0; i < count; ++i) mm::replace_frames(domain.pages, *frames[i], 0);
}

/// Takes the chunk's old frames off the domain.
Result<> take_old(const Plan& plan, u64 chunk, Frames& frames) {
    u64 taken = 0;
    const auto fail_with = [&](Errno error) -> Result<> {
        put_back(plan.domain, frames, taken);
        return fail(error);
    };
    for (u64 e = 0; e < plan.in_per_chunk(); ++e) {
        const auto first = GUEST_HANDLE(plan.in.extent_start).read(chunk * plan.in_per_chunk() + e);
        if (!first) return fail_with(Errno::EFAULT);
        for (u64 i = 0; i < (1ull << plan.in.extent_order); ++i) {
            mm::PageInfo* page = mm::page_of(Mfn(*first + i));
            if (!page || !mm::steal_frame(plan.domain.pages, *page)) return fail_with(Errno::EINVAL);
            frames[taken++] = page;
        }
    }
    return {};
}

void free_blocks(const Plan& plan, Frames& blocks, u64 count) {
    for (u64 i = 0; i < count; ++i) mm::free_frames(*blocks[i], plan.out.extent_order);
}

Result<> allocate_new(const Plan& plan, Frames& blocks) {
    for (u64 i = 0; i < plan.out_per_chunk(); ++i) {
        blocks[i] = mm::alloc_frames(plan.out.extent_order, plan.address_bits);
        if (!blocks[i]) {
            free_blocks(plan, blocks, i);
            return fail(Errno::ENOMEM);
        }
        mm::clear_frames(*blocks[i], plan.out.extent_order);
    }
    return {};
}

/// Gives the new blocks to the domain, places them in the M2P and tells the guest.
Result<> hand_over(const Plan& plan, u64 chunk, Frames& blocks) {
    Result<> told{};
    const GuestHandle<xen_pfn_t> list = GUEST_HANDLE(plan.out.extent_start);
    for (u64 e = 0; e < plan.out_per_chunk(); ++e) {
        const u64 index = chunk * plan.out_per_chunk() + e;
        mm::replace_frames(plan.domain.pages, *blocks[e], plan.out.extent_order);
        const Mfn first = mm::mfn_of(*blocks[e]);
        const auto pfn = list.read(index);
        for (u64 i = 0; pfn && i < (1ull << plan.out.extent_order); ++i) mm::set_m2p(first + i, *pfn + i);
        if (!pfn || !list.write(first.raw(), index)) told = fail(Errno::EFAULT);
    }
    return told;
}

Result<> exchange_chunk(const Plan& plan, u64 chunk) {
    Frames old, blocks;
    TRY(allocate_new(plan, blocks));
    if (auto taken = take_old(plan, chunk, old); !taken) {
        free_blocks(plan, blocks, plan.out_per_chunk());
        return taken;
    }
    for (u64 i = 0; i < plan.frames(); ++i) mm::free_stolen_frame(*old[i]);
    return hand_over(plan, chunk, blocks);
}

} // namespace

Return exchange_memory(RawHandle argument) {
    const auto handle = argument.as<xen_memory_exchange_t>();
    TRY_ASSIGN(x, handle.read());
    TRY(check(x));
    TRY_ASSIGN(domain, find_domain(DomId(x.in.domid)));
    TRY(may(xsm::Hook::memory_exchange, *domain));

    const unsigned bits = x.out.mem_flags & 0xff;
    const Plan plan{*domain, x.in, x.out, std::max(x.in.extent_order, x.out.extent_order), bits == 0 ? 64 : bits};
    if (x.in.nr_extents % plan.in_per_chunk() != 0) return fail(Errno::EINVAL);

    const u64 first = x.nr_exchanged / plan.in_per_chunk();
    for (u64 chunk = first; chunk < plan.chunks(); ++chunk) {
        if (chunk != first && preempt_pending()) return fail(Errno::ERESTART); // nr_exchanged tells where to go on
        const Result<> done = exchange_chunk(plan, chunk);
        x.nr_exchanged = (chunk + (done ? 1 : 0)) * plan.in_per_chunk();
        TRY(handle.write(x));
        if (!done) return fail(done.error());
    }
    return 0;
}

} // namespace streak::hypercall
