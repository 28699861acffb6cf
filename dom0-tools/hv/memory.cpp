// SPDX-License-Identifier: GPL-2.0-only
#include "hv/hypervisor.hpp"

#include <algorithm>
#include <numeric>

#include "hv/calls.hpp"
#include "lib/e820.hpp"

// A domain's memory: how much, where, and what its own kernel is told of it.

namespace streak::hv {

namespace {

constexpr unsigned large_order = 9; ///< 2 MiB
constexpr std::uint64_t large_pages = 1u << large_order;
constexpr std::uint64_t most_extents = 1024; ///< in one call: an array of 8 KiB

xen_memory_reservation_t reservation(DomId domain) {
    xen_memory_reservation_t op{};
    op.domid = domain.raw();
    return op;
}

/// Gives a domain frames, piece by piece, and remembers which.
class Populating {
public:
    Populating(Port& port, DomId domain, Pfn first, std::uint64_t count)
        : port_(port), domain_(domain), next_(first.raw()), end_(next_ + count), extents_(port, most_extents) {
        frames_.reserve(count);
    }

    Result<std::vector<std::uint64_t>> run() {
        if (!extents_) return fail(Errno::ENOMEM);
        while (next_ != end_) {
            const std::uint64_t whole = (end_ - next_) / large_pages;
            const bool aligned = next_ % large_pages == 0;
            if (large_wanted_ && aligned && whole != 0) {
                TRY_ASSIGN(done, populate(large_order, std::min(whole, most_extents)));
                // Free memory is in smaller pieces from here on: asking again for each extent would cost a call.
                large_wanted_ = done != 0;
                continue;
            }
            const std::uint64_t to_boundary = large_pages - next_ % large_pages;
            const std::uint64_t small = large_wanted_ && !aligned ? to_boundary : most_extents;
            TRY_ASSIGN(done, populate(0, std::min({small, most_extents, end_ - next_})));
            if (done == 0) return fail(Errno::ENOMEM);
        }
        return std::move(frames_);
    }

private:
    /// How many extents there was memory for.
    Result<std::uint64_t> populate(unsigned order, std::uint64_t count) {
        const auto list = extents_.items().first(count);
        for (std::uint64_t i = 0; i < count; ++i) list[i] = next_ + (i << order);
        auto op = reservation(domain_);
        set_xen_guest_handle(op.extent_start, list.data());
        op.nr_extents = count;
        op.extent_order = order;
        TRY_ASSIGN(done, call_with(port_, __HYPERVISOR_memory_op, op, unsigned{XENMEM_populate_physmap}));
        if (done > count) return fail(Errno::EOVERFLOW);
        for (const std::uint64_t base : list.first(done)) {
            const auto at = static_cast<std::ptrdiff_t>(frames_.size());
            frames_.resize(frames_.size() + (1ull << order));
            std::iota(frames_.begin() + at, frames_.end(), base);
        }
        next_ += done << order;
        return done;
    }

    Port& port_;
    DomId domain_;
    std::uint64_t next_, end_;
    Buffer<xen_pfn_t> extents_;
    std::vector<std::uint64_t> frames_;
    bool large_wanted_ = true;
};

} // namespace

Result<> Hypervisor::claim_pages(DomId domain, std::uint64_t pages) {
    auto op = reservation(domain);
    op.nr_extents = pages;
    TRY(call_with(port_, __HYPERVISOR_memory_op, op, unsigned{XENMEM_claim_pages}));
    return {};
}

Result<std::vector<std::uint64_t>> Hypervisor::populate(DomId domain, Pfn first, std::uint64_t count) {
    return Populating(port_, domain, first, count).run();
}

Result<> Hypervisor::set_memory_map(DomId domain, std::uint64_t bytes) {
    constexpr std::uint32_t ram = 1;
    const Buffer<e820_entry> map(port_);
    if (!map) return fail(Errno::ENOMEM);
    *map = {.addr = 0, .size = bytes, .type = ram};
    xen_foreign_memory_map_t op{};
    op.domid = domain.raw();
    op.map.nr_entries = 1;
    set_xen_guest_handle(op.map.buffer, static_cast<void*>(map.data()));
    TRY(call_with(port_, __HYPERVISOR_memory_op, op, unsigned{XENMEM_set_memory_map}));
    return {};
}

Result<Mapping> Hypervisor::map(DomId domain, std::span<const std::uint64_t> frames, bool writable) {
    TRY_ASSIGN(bytes, port_.map_foreign(domain, frames, writable));
    return Mapping(port_, bytes);
}

Result<Mapping> Hypervisor::map_grant_table(DomId domain) {
    TRY_ASSIGN(bytes,
               port_.map_resource(domain, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared, 0, 1));
    return Mapping(port_, bytes);
}

Result<> Hypervisor::pin_root(DomId domain, Mfn root) {
    const Buffer<mmuext_op_t> op(port_);
    if (!op) return fail(Errno::ENOMEM);
    op->cmd = MMUEXT_PIN_L4_TABLE;
    op->arg1.mfn = root.raw();
    TRY(port_.call(__HYPERVISOR_mmuext_op, {op.address(), 1, 0, domain.raw()}));
    return {};
}

Result<> Hypervisor::write_hypercall_page(DomId domain, Mfn frame) {
    return order(port_, XEN_DOMCTL_hypercall_init, domain, [&](auto& u) { u.hypercall_init.gmfn = frame.raw(); });
}

} // namespace streak::hv
