// SPDX-License-Identifier: GPL-2.0-only
#include "fake_port.hpp"

#include <algorithm>
#include <cstring>

#include "lib/e820.hpp"

// Hypercalls of the fake about memory and page tables.

namespace streak::test {

namespace {

constexpr std::uint64_t present = 1, writable = 2, large = 0x80, address_mask = 0x000ffffffffff000;

constexpr std::uint64_t entry_index(std::uint64_t address, unsigned level) {
    return address >> (12 + 9 * (level - 1)) & 511;
}

constexpr std::uint64_t frame_of(std::uint64_t entry) { return (entry & address_mask) >> page_shift; }

std::span<const std::uint64_t> entries_of(std::span<std::byte> frame) {
    return {reinterpret_cast<const std::uint64_t*>(frame.data()), 512};
}

} // namespace

std::span<std::byte> FakePort::translate(const FakeDomain& domain, std::uint64_t root, std::uint64_t address) const {
    std::uint64_t table = root;
    for (unsigned level = 4; level != 0; --level) {
        if (!domain.frames.contains(table)) return {};
        const std::uint64_t entry = entries_of(frame(table))[entry_index(address, level)];
        if (!(entry & present) || (level > 1 && (entry & large))) return {};
        table = frame_of(entry);
    }
    if (!domain.frames.contains(table)) return {};
    return frame(table).subspan(address % page_size);
}

FakePort::Outcome FakePort::guest_memory(domid_t id, FakeDomain& d, xen_domctl_gdbsx_memio& io) {
    io.remain = io.len;
    if (id == 0 || io.pgd3val == 0 || io.pgd3val % page_size != 0) return fail(Errno::EINVAL);
    while (io.len != 0) {
        const auto guest = translate(d, io.pgd3val >> page_shift, io.gva);
        // Both sides change page on the way.
        const std::uint64_t bytes = std::min({std::uint64_t{io.len}, guest.size(), page_size - io.uva % page_size});
        if (guest.empty() || (!in_buffer(io.uva, bytes) && (!direct_memory || absent.contains(io.uva / page_size))))
            return fail(Errno::EFAULT);
        auto* const caller = reinterpret_cast<std::byte*>(io.uva);
        if (io.gwr) std::memcpy(guest.data(), caller, bytes);
        else std::memcpy(caller, guest.data(), bytes);
        io.gva += bytes;
        io.uva += bytes;
        io.remain = io.len -= static_cast<std::uint32_t>(bytes);
    }
    return 0;
}

FakePort::Outcome FakePort::memory_op(std::uint32_t command, std::uint64_t address) {
    switch (command) {
    case XENMEM_current_reservation: {
        const auto* const id = argument<domid_t>(address);
        if (id == nullptr) return fail(Errno::EFAULT);
        TRY_ASSIGN(d, domain_for(*id));
        return d->frames.size();
    }
    case XENMEM_set_memory_map: {
        const auto* const op = argument<xen_foreign_memory_map_t>(address);
        if (op == nullptr) return fail(Errno::EFAULT);
        TRY_ASSIGN(d, domain_for(op->domid));
        const auto* const entry = argument<e820_entry>(reinterpret_cast<std::uint64_t>(op->map.buffer.p));
        if (entry == nullptr) return fail(Errno::EFAULT);
        if (op->map.nr_entries != 1 || entry->addr != 0 || entry->type != 1) return fail(Errno::EINVAL);
        d->memory_map_bytes = entry->size;
        return 0;
    }
    case XENMEM_claim_pages:
    case XENMEM_populate_physmap: {
        const auto* const op = argument<xen_memory_reservation_t>(address);
        if (op == nullptr) return fail(Errno::EFAULT);
        return command == XENMEM_claim_pages ? claim(*op) : populate(*op);
    }
    case XENMEM_machine_memory_map: {
        auto* const op = argument<xen_memory_map_t>(address);
        if (op == nullptr) return fail(Errno::EFAULT);
        auto* const list = argument<e820_entry>(reinterpret_cast<std::uint64_t>(op->buffer.p), op->nr_entries);
        if (list == nullptr || op->nr_entries < machine_map.size()) return fail(Errno::EFAULT);
        std::ranges::copy(machine_map, list);
        op->nr_entries = static_cast<unsigned>(machine_map.size());
        return 0;
    }
    case XENMEM_machphys_mfn_list: {
        auto* const op = argument<xen_machphys_mfn_list_t>(address);
        return op == nullptr ? Outcome(fail(Errno::EFAULT)) : list_m2p(*op);
    }
    default: return fail(Errno::ENOSYS);
    }
}

/// One piece, which says what all domains have been populated with.
FakePort::Outcome FakePort::list_m2p(xen_machphys_mfn_list_t& op) {
    auto* const list = argument<xen_pfn_t>(reinterpret_cast<std::uint64_t>(op.extent_start.p), op.max_extents);
    if (list == nullptr || op.max_extents == 0) return fail(Errno::EFAULT);
    if (!m2p_) m2p_ = take_frames(m2p_order);
    if (!m2p_) return fail(Errno::ENOMEM);
    for (std::uint64_t i = 0; i < 1ull << m2p_order; ++i) shown.insert(*m2p_ + i);
    constexpr std::uint64_t per_page = page_size / sizeof(std::uint64_t);
    for (const auto& [id, d] : domains)
        for (const auto& [pfn, mfn] : d.p2m)
            std::memcpy(&frame(*m2p_ + mfn / per_page)[mfn % per_page * sizeof pfn], &pfn, sizeof pfn);
    list[0] = *m2p_;
    op.nr_extents = 1;
    return 0;
}

FakePort::Outcome FakePort::claim(const xen_memory_reservation_t& op) {
    if (op.extent_start.p != nullptr || op.extent_order != 0 || op.mem_flags != 0) return fail(Errno::EINVAL);
    TRY_ASSIGN(d, domain_for(op.domid));
    std::uint64_t others = 0;
    for (const auto& [id, other] : domains)
        if (id != op.domid) others += other.claim;
    const std::uint64_t have = d->frames.size();
    const std::uint64_t wanted = op.nr_extents > have ? op.nr_extents - have : 0;
    if (wanted != 0 && (op.nr_extents > d->max_pages || free_.size() < others + wanted)) return fail(Errno::ENOMEM);
    d->claim = wanted;
    return 0;
}

/// How many extents could be given, as the hypervisor tells it.
FakePort::Outcome FakePort::populate(const xen_memory_reservation_t& op) {
    TRY_ASSIGN(d, domain_for(op.domid));
    auto* const list = argument<xen_pfn_t>(reinterpret_cast<std::uint64_t>(op.extent_start.p), op.nr_extents);
    if (list == nullptr) return 0;
    std::uint64_t others = 0;
    for (const auto& [id, other] : domains)
        if (id != op.domid) others += other.claim;
    const std::uint64_t pages = 1ull << op.extent_order;
    for (std::uint64_t i = 0; i < op.nr_extents; ++i) {
        if (d->dying || d->frames.size() + pages > d->max_pages || free_.size() < others + pages) return i;
        const auto base = take_frames(op.extent_order);
        if (!base) return i;
        for (std::uint64_t page = 0; page < pages; ++page) {
            d->frames.insert(*base + page);
            d->p2m[list[i] + page] = *base + page;
        }
        d->claim -= std::min(d->claim, pages);
        list[i] = *base;
    }
    return op.nr_extents;
}

/// Every frame below `root` is the domain's own, and no table is mapped writable.
bool FakePort::valid_tables(const FakeDomain& d, std::uint64_t root) const {
    std::set<std::uint64_t> tables, writable_frames;
    const auto walk = [&](auto& self, std::uint64_t table, unsigned level) -> bool {
        if (!d.frames.contains(table)) return false;
        tables.insert(table);
        return std::ranges::all_of(entries_of(frame(table)), [&](std::uint64_t entry) {
            if (!(entry & present)) return true;
            if (level > 1) return !(entry & large) && self(self, frame_of(entry), level - 1);
            if (entry & writable) writable_frames.insert(frame_of(entry));
            return d.frames.contains(frame_of(entry)) || frame_of(entry) == d.shared_info;
        });
    };
    return walk(walk, root, 4) &&
           std::ranges::none_of(writable_frames, [&](std::uint64_t mfn) { return tables.contains(mfn); });
}

FakePort::Outcome FakePort::get_context(const FakeDomain& d, const xen_domctl_vcpucontext& request) const {
    auto* const context = argument<vcpu_guest_context_t>(reinterpret_cast<std::uint64_t>(request.ctxt.p));
    if (context == nullptr) return fail(Errno::EFAULT);
    if (request.vcpu >= d.max_vcpus) return fail(Errno::EINVAL);
    if (!d.contexts.contains(request.vcpu)) return fail(Errno::ENODATA);
    *context = d.contexts.at(request.vcpu);
    return 0;
}

FakePort::Outcome FakePort::page_types(const FakeDomain& d, const xen_domctl_getpageframeinfo3& request) const {
    auto* const list = argument<xen_pfn_t>(reinterpret_cast<std::uint64_t>(request.array.p), request.num);
    if (list == nullptr) return fail(Errno::EFAULT);
    if (request.num > 1024) return fail(Errno::E2BIG);
    for (auto& entry : std::span(list, request.num))
        entry = d.frames.contains(entry) ? XEN_DOMCTL_PFINFO_NOTAB : XEN_DOMCTL_PFINFO_XTAB;
    return 0;
}

FakePort::Outcome FakePort::set_context(FakeDomain& d, const xen_domctl_vcpucontext& request) {
    if (request.vcpu >= d.max_vcpus) return fail(Errno::EINVAL);
    const auto* const context = argument<vcpu_guest_context_t>(reinterpret_cast<std::uint64_t>(request.ctxt.p));
    if (context == nullptr) return fail(Errno::EFAULT);
    // What becomes the vCPU's tables has to be tables.
    const std::uint64_t root = frame_of(context->ctrlreg[3]);
    if (!d.frames.contains(root) || !valid_tables(d, root)) return fail(Errno::EINVAL);
    d.contexts[request.vcpu] = *context;
    return 0;
}

FakePort::Outcome FakePort::pin(const std::array<std::uint64_t, 5>& arguments) {
    const auto* const op = argument<mmuext_op_t>(arguments[0]);
    if (op == nullptr) return fail(Errno::EFAULT);
    if (arguments[1] != 1 || op->cmd != MMUEXT_PIN_L4_TABLE) return fail(Errno::ENOSYS);
    TRY_ASSIGN(d, domain_for(static_cast<domid_t>(arguments[3])));
    if (!valid_tables(*d, op->arg1.mfn)) return fail(Errno::EINVAL);
    if (!d->pinned.insert(op->arg1.mfn).second) return fail(Errno::EBUSY);
    return 0;
}

} // namespace streak::test
