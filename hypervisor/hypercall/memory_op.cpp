// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/memory_op.hpp"

#include "domain/grants.hpp"
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

namespace {

constexpr u64 m2p_chunk_bytes = 1ull << 21; ///< what one entry of machphys_mfn_list covers

Result<DomainRef> domain_for(RawHandle argument, xsm::Hook hook) {
    TRY_ASSIGN(id, argument.as<domid_t>().read());
    TRY_ASSIGN(domain, find_domain(DomId(id)));
    TRY(may(hook, *domain));
    return std::move(domain);
}

/// One number about a domain.
Return query(RawHandle argument, u64 (*what)(const Domain& d)) {
    TRY_ASSIGN(domain, domain_for(argument, xsm::Hook::memory_query));
    return static_cast<i64>(what(*domain));
}

Return machphys_mapping(RawHandle argument) {
    return answer(argument.as<xen_machphys_mapping_t>().write(
        {.v_start = MACH2PHYS_VIRT_START, .v_end = MACH2PHYS_VIRT_END, .max_mfn = mm::frame_table_frames - 1}));
}

/// The frames the M2P consists of, one number for each 2 MiB; holes repeat the previous one.
Result<> machphys_mfn_list(xen_machphys_mfn_list_t& list) {
    TRY(may(xsm::Hook::memory_machine, caller()));
    const GuestHandle<xen_pfn_t> out = GUEST_HANDLE(list.extent_start);
    const u64 chunks = (mm::frame_table_frames * 8 + m2p_chunk_bytes - 1) / m2p_chunk_bytes;
    u64 last = 0;
    u32 i = 0;
    for (; i < chunks && i < list.max_extents; ++i) {
        const u64 first_frame = i * (m2p_chunk_bytes / 8);
        if (const auto chunk = mm::m2p_chunk(Mfn(first_frame))) last = to_mfn(*chunk).raw();
        TRY(out.write(last, i));
    }
    list.nr_extents = i;
    return {};
}

/// The machine's map, as dom0 has to see it: Streak's own APIC pages are reserved.
Result<> machine_memory_map(xen_memory_map_t& request) {
    TRY(may(xsm::Hook::memory_machine, caller()));
    const GuestHandle<e820_entry> out(reinterpret_cast<u64>(request.buffer.p));
    u32 i = 0;
    for (const mm::MemoryRange& r : mm::machine_map()) {
        if (i == request.nr_entries) break;
        TRY(out.write({.addr = r.start, .size = r.end - r.start, .type = r.type}, i++));
    }
    request.nr_entries = i;
    return {};
}

/// Without a buffer: how many entries there are.
Result<> memory_map(xen_memory_map_t& request) {
    Domain& d = caller();
    TRY(may(xsm::Hook::memory_query, d));
    LockGuard guard(d.context_lock);
    if (!d.memory_map || d.memory_map->empty()) return fail(Errno::ENOSYS);
    const GuestHandle<e820_entry> out(reinterpret_cast<u64>(request.buffer.p));
    const u32 entries = static_cast<u32>(d.memory_map->size());
    if (!out.is_null()) request.nr_entries = std::min(entries, request.nr_entries);
    else request.nr_entries = entries;
    if (!out.is_null()) TRY(out.write_array({d.memory_map->begin(), request.nr_entries}));
    return {};
}

Result<> set_memory_map(const xen_foreign_memory_map_t& request) {
    TRY_ASSIGN(domain, find_domain(DomId(request.domid)));
    TRY(may(xsm::Hook::memory_set_map, *domain));
    const GuestHandle<e820_entry> in(reinterpret_cast<u64>(request.map.buffer.p));
    Domain::MemoryMap map;
    for (u32 i = 0; i < request.map.nr_entries; ++i) {
        TRY_ASSIGN(entry, in.read(i));
        if (!map.push_back(entry)) return fail(Errno::EINVAL);
    }
    LockGuard guard(domain->context_lock);
    if (!domain->memory_map) domain->memory_map = mm::make_owned<Domain::MemoryMap>();
    if (!domain->memory_map) return fail(Errno::ENOMEM);
    *domain->memory_map = map;
    return {};
}

Result<> claim_pages(const xen_memory_reservation_t& request) {
    if (!GUEST_HANDLE(request.extent_start).is_null() || request.extent_order != 0 || request.mem_flags != 0)
        return fail(Errno::EINVAL);
    TRY_ASSIGN(domain, find_domain(DomId(request.domid)));
    TRY(may(xsm::Hook::memory_claim, *domain));
    return mm::set_claim(domain->pages, request.nr_extents);
}

/// How many frames of a resource a domain may have: grant entries (id 0) or statuses (id 1). EOPNOTSUPP: other kinds,
/// which belong to hardware-assisted guests; EINVAL: no such id.
Result<u32> resource_frames(const Domain& d, const xen_mem_acquire_resource_t& r) {
    if (r.type != XENMEM_resource_grant_table) return fail(Errno::EOPNOTSUPP);
    if (r.id == XENMEM_resource_grant_table_id_shared) return d.grants->max_frames();
    if (r.id == XENMEM_resource_grant_table_id_status) return grant::Table::statuses_for(d.grants->max_frames());
    return fail(Errno::EINVAL);
}

/// Tells the frames of another domain's grant table, which are made if need be; the caller then maps them as that
/// domain's. Without a list: how many there may be. `start` of them have been told before.
Return acquire_resource(u64 start, RawHandle argument) {
    const auto handle = argument.as<xen_mem_acquire_resource_t>();
    TRY_ASSIGN(r, handle.read());
    if (r.pad != 0) return fail(Errno::EINVAL);
    TRY_ASSIGN(domain, find_domain(DomId(r.domid)));
    if (domain.get() == &caller()) return fail(Errno::EPERM); // it has GNTTABOP_setup_table
    TRY(may(xsm::Hook::memory_resource, *domain));
    TRY_ASSIGN(most, resource_frames(*domain, r));
    const auto list = GUEST_HANDLE(r.frame_list);
    if (list.is_null()) {
        if (r.nr_frames != 0 || r.frame != 0) return fail(Errno::EINVAL);
        r.nr_frames = most;
        return answer(handle.write(r));
    }
    if (r.nr_frames == 0 || r.frame > most || r.nr_frames > most - r.frame || domain->dying) return fail(Errno::EINVAL);
    for (u64 i = start; i < r.nr_frames; ++i) {
        if (i != start && preempt_pending()) {
            set_argument(0, XENMEM_acquire_resource | i << extent_shift);
            return fail(Errno::ERESTART);
        }
        const u32 index = static_cast<u32>(r.frame + i);
        const bool shared = r.id == XENMEM_resource_grant_table_id_shared;
        TRY_ASSIGN(frame, shared ? grants::shared_frame(*domain, index) : grants::status_frame(*domain, index));
        TRY(list.write(frame.raw(), i));
    }
    return 0;
}

/// Populate-on-demand and memory sharing belong to hardware-assisted guests.
Return get_pod_target(RawHandle argument) {
    TRY(domain_for(argument.offset(offsetof(xen_pod_target_t, domid)), xsm::Hook::memory_claim));
    return fail(Errno::EINVAL);
}

} // namespace

/// Everything about a domain's memory. `command` carries the first extent to do in its upper bits, so that a
/// long operation can go on where it stopped. (xen/memory.h)
Return memory_op(u64 command, RawHandle argument) {
    const u64 start = command >> extent_shift;
    const u32 op = command & command_mask;
    switch (op) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap: return change_reservation(op, start, argument);
    case XENMEM_exchange: return exchange_memory(argument);
    case XENMEM_acquire_resource: return acquire_resource(start, argument);
    default: break;
    }
    if (start != 0) return fail(Errno::EINVAL);
    switch (op) {
    case XENMEM_maximum_ram_page: return static_cast<i64>(mm::frame_table_frames - 1);
    case XENMEM_current_reservation: return query(argument, [](const Domain& d) { return d.pages.total; });
    case XENMEM_maximum_reservation: return query(argument, [](const Domain& d) { return d.pages.max; });
    case XENMEM_maximum_gpfn: return query(argument, [](const Domain& d) { return d.shared_info->arch.max_pfn - 1; });
    case XENMEM_machphys_mapping: return machphys_mapping(argument);
    case XENMEM_machphys_mfn_list: return on_copy(argument, machphys_mfn_list);
    case XENMEM_memory_map: return on_copy(argument, memory_map);
    case XENMEM_machine_memory_map: return on_copy(argument, machine_memory_map);
    case XENMEM_set_memory_map: return on_copy(argument, set_memory_map);
    case XENMEM_claim_pages: return on_copy(argument, claim_pages);
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages: return 0;
    case XENMEM_get_pod_target:
    case XENMEM_set_pod_target: return get_pod_target(argument);
    case XENMEM_get_vnumainfo: return fail(Errno::EOPNOTSUPP);
    // Both place frames in a translated physmap, which a PV guest does not have.
    case XENMEM_add_to_physmap:
    case XENMEM_add_to_physmap_batch:
    case XENMEM_remove_from_physmap:
        TRY(domain_for(argument, xsm::Hook::memory_add_to_physmap));
        return fail(Errno::EOPNOTSUPP);
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace streak::hypercall
