// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/modules/fuzz/operations.hpp"

#include <cstddef>

#include "tests/guests/lib/trap.hpp"

// The table: what the headers of the ABI define, by hypercall. Sizes and places of members are the headers' own.

namespace fuzz {

namespace {

#define AT(type, member, ...)                                                                                          \
    Field { offsetof(type, member), sizeof(type::member), Kind::__VA_ARGS__ }
#define REG(index, ...)                                                                                                \
    Field { 8 * index, 8, Kind::__VA_ARGS__ }
#define STRUCT(type) static_cast<u16>(sizeof(type))

// ---- Event channels ----

using AllocUnbound = evtchn_alloc_unbound_t;
using BindInterdomain = evtchn_bind_interdomain_t;
constexpr Field alloc_unbound[] = {AT(AllocUnbound, dom, own_dom), AT(AllocUnbound, remote_dom, dom)};
constexpr Field bind_interdomain[] = {AT(BindInterdomain, remote_dom, peer),
                                      AT(BindInterdomain, remote_port, peer_port)};
constexpr Field bind_virq[] = {AT(evtchn_bind_virq_t, virq, small, NR_VIRQS), AT(evtchn_bind_virq_t, vcpu, vcpu)};
constexpr Field bind_ipi[] = {AT(evtchn_bind_ipi_t, vcpu, vcpu)};
constexpr Field bind_pirq[] = {AT(evtchn_bind_pirq_t, pirq, small, 64), AT(evtchn_bind_pirq_t, flags, flags, 1)};
constexpr Field any_port[] = {Field{0, 4, Kind::port}};
constexpr Field status[] = {AT(evtchn_status_t, dom, own_dom), AT(evtchn_status_t, port, port)};
constexpr Field bind_vcpu[] = {AT(evtchn_bind_vcpu_t, port, port), AT(evtchn_bind_vcpu_t, vcpu, vcpu)};
constexpr Field reset[] = {AT(evtchn_reset_t, dom, own_dom)};
constexpr Field init_control[] = {AT(evtchn_init_control_t, control_gfn, toy),
                                  AT(evtchn_init_control_t, offset, flags, 0x7f8),
                                  AT(evtchn_init_control_t, vcpu, vcpu)};
constexpr Field expand_array[] = {AT(evtchn_expand_array_t, array_gfn, toy)};
constexpr Field set_priority[] = {AT(evtchn_set_priority_t, port, port),
                                  AT(evtchn_set_priority_t, priority, small, 16)};

void note_unbound(Player& p, const u8* s) {
    const u32 port = reinterpret_cast<const AllocUnbound*>(s)->port;
    world.unbound.add(p.random, port);
    world.ports.add(p.random, port);
}
template <class T, auto Port> void note_port(Player& p, const u8* s) {
    world.ports.add(p.random, reinterpret_cast<const T*>(s)->*Port);
}
void note_closed(Player&, const u8* s) {
    const u32 port = *reinterpret_cast<const u32*>(s);
    world.ports.remove(port);
    world.unbound.remove(port);
}
void note_reset(Player&, const u8*) {
    world.ports.clear();
    world.unbound.clear();
}

constexpr u8 evtchn = __HYPERVISOR_event_channel_op;
#define EVTCHN(op, weight, type, fields, ...)                                                                          \
    Operation {                                                                                                        \
        "evtchn " #op, evtchn, Form::command_pointer, weight, EVTCHNOP_##op, STRUCT(type), fields, ##__VA_ARGS__       \
    }

// ---- Grants ----

using Map = gnttab_map_grant_ref_t;
using Unmap = gnttab_unmap_grant_ref_t;
using Replace = gnttab_unmap_and_replace_t;
using Copy = gnttab_copy_t;
constexpr u32 map_flags = GNTMAP_readonly | GNTMAP_device_map | GNTMAP_application_map | 0x1ff0000;
constexpr Field map_any[] = {AT(Map, host_addr, grant_pte),
                             AT(Map, flags, flags, map_flags | GNTMAP_host_map | GNTMAP_contains_pte),
                             AT(Map, dom, peer), AT(Map, ref, ref)};
constexpr Field map_host[] = {AT(Map, host_addr, va), AT(Map, flags, fixed, GNTMAP_host_map), AT(Map, dom, peer),
                              AT(Map, ref, ref)};
constexpr Field unmap[] = {AT(Unmap, handle, handle), AT(Unmap, host_addr, handle_address),
                           AT(Unmap, dev_bus_addr, handle_device)};
constexpr Field replace[] = {AT(Replace, handle, handle), AT(Replace, host_addr, handle_address),
                             AT(Replace, new_addr, va)};
constexpr Field copy[] = {AT(Copy, source.domid, peer),         AT(Copy, source.u.ref, ref),
                          AT(Copy, source.offset, small, 2048), AT(Copy, dest.domid, fixed, DOMID_SELF),
                          AT(Copy, dest.u.gmfn, toy),           AT(Copy, dest.offset, small, 2048),
                          AT(Copy, len, small, 2048),           AT(Copy, flags, fixed, GNTCOPY_source_gref)};
constexpr Field copy_out[] = {AT(Copy, dest.domid, peer),         AT(Copy, dest.u.ref, ref),
                              AT(Copy, dest.offset, small, 2048), AT(Copy, source.domid, fixed, DOMID_SELF),
                              AT(Copy, source.u.gmfn, toy),       AT(Copy, source.offset, small, 2048),
                              AT(Copy, len, small, 2048),         AT(Copy, flags, fixed, GNTCOPY_dest_gref)};
constexpr Field transfer[] = {AT(gnttab_transfer_t, mfn, toy), AT(gnttab_transfer_t, domid, peer),
                              AT(gnttab_transfer_t, ref, ref)};
constexpr Field swap[] = {AT(gnttab_swap_grant_ref_t, ref_a, own_ref), AT(gnttab_swap_grant_ref_t, ref_b, own_ref)};
constexpr Field setup[] = {AT(gnttab_setup_table_t, dom, own_dom), AT(gnttab_setup_table_t, nr_frames, small, 8),
                           AT(gnttab_setup_table_t, frame_list, out, 80)};
constexpr Field statuses[] = {AT(gnttab_get_status_frames_t, dom, own_dom),
                              AT(gnttab_get_status_frames_t, nr_frames, small, 2),
                              AT(gnttab_get_status_frames_t, frame_list, out, 80)};
constexpr Field query_size[] = {AT(gnttab_query_size_t, dom, own_dom)};
constexpr Field get_version[] = {AT(gnttab_get_version_t, dom, own_dom)};
constexpr Field set_version[] = {AT(gnttab_set_version_t, version, small, 3)};
constexpr Field cache_flush[] = {AT(gnttab_cache_flush_t, a.dev_bus_addr, entry_address),
                                 AT(gnttab_cache_flush_t, offset, small, 2048),
                                 AT(gnttab_cache_flush_t, length, small, 2048), AT(gnttab_cache_flush_t, op, small, 4)};

void note_map(Player& p, const u8* s) {
    const auto& op = *reinterpret_cast<const Map*>(s);
    world.handle_address[op.handle % 2048] = op.flags & GNTMAP_host_map ? op.host_addr : 0;
    world.handle_device[op.handle % 2048] = op.flags & GNTMAP_device_map ? op.dev_bus_addr : 0;
    world.handles.add(p.random, op.handle + 1);
}
template <class T> void note_unmap(Player&, const u8* s) {
    world.handles.remove(reinterpret_cast<const T*>(s)->handle + 1ull);
}
void note_gone(Player&, const u8* s) {
    for (u64& mfn : world.mfn)
        if (mfn == reinterpret_cast<const gnttab_transfer_t*>(s)->mfn) mfn = no_mfn;
}
void note_version(Player&, const u8* s) {
    world.grant_version = reinterpret_cast<const gnttab_set_version_t*>(s)->version;
}

constexpr u8 gnttab = __HYPERVISOR_grant_table_op;
#define GRANT(label, op, weight, type, fields, ...)                                                                    \
    Operation {                                                                                                        \
        "gnttab " label, gnttab, Form::command_list, weight, GNTTABOP_##op, STRUCT(type), fields, ##__VA_ARGS__        \
    }
#define STATUS(type) static_cast<int>(offsetof(type, status))

// ---- Page tables ----

constexpr Field mmu_update_fields[] = {AT(mmu_update_t, ptr, entry_address), AT(mmu_update_t, val, pte)};
constexpr Field home_or_window[] = {REG(0, va), REG(1, pte), REG(2, small, 6)};
constexpr Field other_domain[] = {REG(0, va), REG(1, pte), REG(2, small, 6), REG(3, dom)};

#define EXT_FIELDS(name, op, ...) constexpr Field name[] = {AT(mmuext_op_t, cmd, fixed, op), ##__VA_ARGS__}
EXT_FIELDS(pin_l1, MMUEXT_PIN_L1_TABLE, AT(mmuext_op_t, arg1.mfn, frame));
EXT_FIELDS(pin_l2, MMUEXT_PIN_L2_TABLE, AT(mmuext_op_t, arg1.mfn, frame));
EXT_FIELDS(pin_l3, MMUEXT_PIN_L3_TABLE, AT(mmuext_op_t, arg1.mfn, frame));
EXT_FIELDS(pin_l4, MMUEXT_PIN_L4_TABLE, AT(mmuext_op_t, arg1.mfn, frame));
EXT_FIELDS(unpin_table, MMUEXT_UNPIN_TABLE, AT(mmuext_op_t, arg1.mfn, frame));
EXT_FIELDS(new_baseptr, MMUEXT_NEW_BASEPTR, AT(mmuext_op_t, arg1.mfn, root));
EXT_FIELDS(new_user_baseptr, MMUEXT_NEW_USER_BASEPTR, AT(mmuext_op_t, arg1.mfn, frame));
EXT_FIELDS(flush_local, MMUEXT_TLB_FLUSH_LOCAL);
EXT_FIELDS(invlpg_local, MMUEXT_INVLPG_LOCAL, AT(mmuext_op_t, arg1.linear_addr, address));
EXT_FIELDS(flush_multi, MMUEXT_TLB_FLUSH_MULTI, AT(mmuext_op_t, arg2.vcpumask, bitmap));
EXT_FIELDS(invlpg_multi, MMUEXT_INVLPG_MULTI, AT(mmuext_op_t, arg1.linear_addr, address),
           AT(mmuext_op_t, arg2.vcpumask, bitmap));
EXT_FIELDS(flush_all, MMUEXT_TLB_FLUSH_ALL);
EXT_FIELDS(invlpg_all, MMUEXT_INVLPG_ALL, AT(mmuext_op_t, arg1.linear_addr, address));
EXT_FIELDS(flush_cache, MMUEXT_FLUSH_CACHE);
EXT_FIELDS(set_ldt, MMUEXT_SET_LDT, AT(mmuext_op_t, arg1.linear_addr, va), AT(mmuext_op_t, arg2.nr_ents, small, 2000));
EXT_FIELDS(clear_page, MMUEXT_CLEAR_PAGE, AT(mmuext_op_t, arg1.mfn, toy));
EXT_FIELDS(copy_page, MMUEXT_COPY_PAGE, AT(mmuext_op_t, arg1.mfn, toy), AT(mmuext_op_t, arg2.src_mfn, frame));
EXT_FIELDS(flush_cache_global, MMUEXT_FLUSH_CACHE_GLOBAL);
EXT_FIELDS(mark_super, MMUEXT_MARK_SUPER, AT(mmuext_op_t, arg1.mfn, frame));

void note_pin(Player& p, const u8* s) { world.pinned.add(p.random, reinterpret_cast<const mmuext_op_t*>(s)->arg1.mfn); }
void note_unpin(Player&, const u8* s) { world.pinned.remove(reinterpret_cast<const mmuext_op_t*>(s)->arg1.mfn); }

#define EXT(label, weight, fields, ...)                                                                                \
    Operation {                                                                                                        \
        "mmuext " label, __HYPERVISOR_mmuext_op, Form::list, weight, 0, STRUCT(mmuext_op_t), fields, ##__VA_ARGS__     \
    }

// ---- Memory ----

using Reservation = xen_memory_reservation_t;
using Exchange = xen_memory_exchange_t;
constexpr Field decrease[] = {AT(Reservation, extent_start, toys_in, 4), AT(Reservation, nr_extents, small, 2),
                              AT(Reservation, domid, own_dom)};
constexpr Field populate[] = {AT(Reservation, extent_start, missing_in, 4), AT(Reservation, nr_extents, small, 3),
                              AT(Reservation, domid, own_dom), AT(Reservation, mem_flags, small, 64)};
constexpr Field populate_large[] = {AT(Reservation, extent_start, missing_in, 4), AT(Reservation, nr_extents, bits),
                                    AT(Reservation, extent_order, small, 64), AT(Reservation, domid, own_dom)};
constexpr Field exchange_odd[] = {AT(Exchange, in.extent_start, toys_in, 8),     AT(Exchange, in.nr_extents, small, 9),
                                  AT(Exchange, in.extent_order, small, 3),       AT(Exchange, in.domid, own_dom),
                                  AT(Exchange, out.extent_start, missing_in, 8), AT(Exchange, out.nr_extents, small, 9),
                                  AT(Exchange, out.extent_order, small, 3),      AT(Exchange, out.domid, own_dom),
                                  AT(Exchange, nr_exchanged, small, 3)};
constexpr Field one_domain[] = {Field{0, 2, Kind::own_dom}};
constexpr Field nothing[] = {Field{0, 8, Kind::bits}};
constexpr Field acquire[] = {AT(xen_mem_acquire_resource_t, domid, dom), AT(xen_mem_acquire_resource_t, type, small, 3),
                             AT(xen_mem_acquire_resource_t, id, small, 3),
                             AT(xen_mem_acquire_resource_t, nr_frames, small, 4),
                             AT(xen_mem_acquire_resource_t, frame_list, out, 64)};
constexpr Field add_to_physmap[] = {AT(xen_add_to_physmap_t, domid, dom), AT(xen_add_to_physmap_t, space, small, 6),
                                    AT(xen_add_to_physmap_t, idx, frame), AT(xen_add_to_physmap_t, gpfn, pfn_missing)};
constexpr Field map_list[] = {AT(xen_memory_map_t, nr_entries, small, 16), AT(xen_memory_map_t, buffer, out, 512)};
constexpr Field set_map[] = {AT(xen_foreign_memory_map_t, domid, own_dom),
                             AT(xen_foreign_memory_map_t, map.nr_entries, small, 16),
                             AT(xen_foreign_memory_map_t, map.buffer, out, 512)};
constexpr Field claim[] = {AT(Reservation, nr_extents, small, 100), AT(Reservation, domid, own_dom)};
constexpr Field mfn_list[] = {AT(xen_machphys_mfn_list_t, max_extents, small, 8),
                              AT(xen_machphys_mfn_list_t, extent_start, out, 64)};

void note_exchange(Player&, const u8* s) {
    const auto& op = *reinterpret_cast<const Exchange*>(s);
    if (op.in.extent_order != 0 || op.out.extent_order != 0) return; // what became of larger ones is not known
    for (u64 i = 0; i < op.in.nr_extents && i < 8; ++i)
        for (u64& mfn : world.mfn)
            if (mfn == op.in.extent_start.p[i]) mfn = op.out.extent_start.p[i];
}

#define MEMORY(label, op, weight, type, fields, ...)                                                                   \
    Operation {                                                                                                        \
        "memory " label, __HYPERVISOR_memory_op, Form::command_pointer, weight, op, STRUCT(type), fields,              \
            ##__VA_ARGS__                                                                                              \
    }

// ---- Processors ----

constexpr Field periodic[] = {AT(vcpu_set_periodic_timer_t, period_ns, flags, 0x3ffffff)};
constexpr Field singleshot[] = {AT(vcpu_set_singleshot_timer_t, timeout_abs_ns, soon),
                                AT(vcpu_set_singleshot_timer_t, flags, small, 2)};
constexpr Field area[] = {Field{0, 8, Kind::va}};
constexpr Field register_info[] = {AT(vcpu_register_vcpu_info_t, mfn, toy),
                                   AT(vcpu_register_vcpu_info_t, offset, flags, 0xff8)};
constexpr Field bad_context[] = {
    AT(vcpu_guest_context_t, flags, flags, 0x1ff), AT(vcpu_guest_context_t, user_regs.rip, address),
    AT(vcpu_guest_context_t, ctrlreg[3], bits), AT(vcpu_guest_context_t, gdt_ents, small, 600),
    AT(vcpu_guest_context_t, ldt_ents, small, 600)};

#define VCPU(op, weight, kind, type, fields, ...)                                                                      \
    Operation {                                                                                                        \
        "vcpu " #op, __HYPERVISOR_vcpu_op, Form::command_vcpu, weight, VCPUOP_##op, STRUCT(type), fields,              \
            ##__VA_ARGS__                                                                                              \
    }

constexpr Field poll[] = {AT(sched_poll_t, ports, ports_in, 4), AT(sched_poll_t, nr_ports, small, 4),
                          AT(sched_poll_t, timeout, fixed, 1)};
constexpr Field watchdog[] = {AT(sched_watchdog_t, id, small, 3), AT(sched_watchdog_t, timeout, fixed, 1'000'000'000)};
constexpr Field remote_shutdown[] = {AT(sched_remote_shutdown_t, domain_id, dom),
                                     AT(sched_remote_shutdown_t, reason, small, 6)};
constexpr Field pin_override[] = {AT(sched_pin_override_t, pcpu, small, 4)};
#define SCHED(op, weight, type, fields, ...)                                                                           \
    Operation {                                                                                                        \
        "sched " #op, __HYPERVISOR_sched_op, Form::command_pointer, weight, SCHEDOP_##op, STRUCT(type), fields,        \
            ##__VA_ARGS__                                                                                              \
    }

// ---- Entries and descriptors ----

constexpr Field set_trap_table[] = {REG(0, gates)};
constexpr Field set_gdt[] = {REG(0, toys_in, 16), REG(1, small, 3000)};
constexpr Field stack_switch[] = {REG(0, flags, 0xffff), REG(1, address)};
constexpr Field set_callbacks[] = {REG(0, entry_point, 0), REG(1, entry_point, 1), REG(2, entry_point, 2)};
constexpr Field two_registers[] = {REG(0, small, 2), REG(1, bits)};
constexpr Field update_descriptor[] = {REG(0, entry_address), REG(1, bits)};
constexpr Field segment_base[] = {REG(0, small, 4), REG(1, address)};
constexpr Field debug_register[] = {REG(0, small, 8), REG(1, address)};
constexpr Field debug_control[] = {REG(0, fixed, 7), REG(1, flags, 0xffff03ff)};
constexpr Field timer[] = {REG(0, soon)};
constexpr Field vm_assist[] = {REG(0, small, 2), REG(1, small, 34)};
constexpr Field event_callback[] = {AT(callback_register_t, type, fixed, CALLBACKTYPE_event),
                                    AT(callback_register_t, flags, small, 2),
                                    AT(callback_register_t, address, entry_point, 0)};
constexpr Field unregister[] = {AT(callback_unregister_t, type, small, 9)};
#define PLAIN(label, number, weight, fields, ...)                                                                      \
    Operation { label, __HYPERVISOR_##number, Form::registers, weight, 0, 48, fields, ##__VA_ARGS__ }

// ---- What tells, and what is refused ----

constexpr Field console[] = {REG(0, small, 3), REG(1, small, 40), REG(2, out, 64)};
constexpr Field iopl[] = {AT(physdev_set_iopl_t, iopl, small, 4)};
constexpr Field iobitmap[] = {AT(physdev_set_iobitmap_t, bitmap, out, 64),
                              AT(physdev_set_iobitmap_t, nr_ports, small, 65000)};
constexpr Field irq[] = {Field{0, 4, Kind::small, 64}};
constexpr Field map_pirq[] = {AT(physdev_map_pirq_t, domid, own_dom),   AT(physdev_map_pirq_t, type, small, 4),
                              AT(physdev_map_pirq_t, index, small, 32), AT(physdev_map_pirq_t, pirq, small, 64),
                              AT(physdev_map_pirq_t, bus, small, 2),    AT(physdev_map_pirq_t, devfn, small, 64)};
#define PHYSDEV(op, weight, type, fields, ...)                                                                         \
    Operation {                                                                                                        \
        "physdev " #op, __HYPERVISOR_physdev_op, Form::command_pointer, weight, PHYSDEVOP_##op, STRUCT(type), fields,  \
            ##__VA_ARGS__                                                                                              \
    }

constexpr Field domctl[] = {
    AT(xen_domctl_t, cmd, small, 88), AT(xen_domctl_t, interface_version, fixed, XEN_DOMCTL_INTERFACE_VERSION),
    AT(xen_domctl_t, domain, dom), AT(xen_domctl_t, u.pad[0], bits), AT(xen_domctl_t, u.pad[8], out, 64)};
constexpr Field sysctl[] = {AT(xen_sysctl_t, cmd, small, 30),
                            AT(xen_sysctl_t, interface_version, fixed, XEN_SYSCTL_INTERFACE_VERSION),
                            AT(xen_sysctl_t, u.pad[0], bits), AT(xen_sysctl_t, u.pad[8], out, 64)};
constexpr Field platform[] = {AT(xen_platform_op_t, cmd, small, 70),
                              AT(xen_platform_op_t, interface_version, fixed, XENPF_INTERFACE_VERSION),
                              AT(xen_platform_op_t, u.pad[0], bits)};
constexpr Field mca[] = {AT(xen_mc_t, cmd, small, 7),
                         AT(xen_mc_t, interface_version, fixed, XEN_MCA_INTERFACE_VERSION)};
constexpr Field junk[] = {REG(0, small, 40), REG(1, out, 256), REG(2, small, 4), REG(3, bits)};
constexpr Field no_nmi[] = {REG(0, fixed, XENNMI_unregister_callback), REG(1, out, 16)};
constexpr Field version_reply[] = {REG(0, small, 13), REG(1, out, 1100)};

constexpr Operation table[] = {
    EVTCHN(alloc_unbound, 6, AllocUnbound, alloc_unbound, note_unbound),
    EVTCHN(bind_interdomain, 8, BindInterdomain, bind_interdomain,
           note_port<BindInterdomain, &BindInterdomain::local_port>),
    EVTCHN(bind_virq, 2, evtchn_bind_virq_t, bind_virq, note_port<evtchn_bind_virq_t, &evtchn_bind_virq_t::port>),
    EVTCHN(bind_ipi, 3, evtchn_bind_ipi_t, bind_ipi, note_port<evtchn_bind_ipi_t, &evtchn_bind_ipi_t::port>),
    EVTCHN(bind_pirq, 1, evtchn_bind_pirq_t, bind_pirq, nullptr, -1, true),
    EVTCHN(close, 12, evtchn_close_t, any_port, note_closed),
    EVTCHN(send, 16, evtchn_send_t, any_port),
    EVTCHN(unmask, 4, evtchn_unmask_t, any_port),
    EVTCHN(status, 3, evtchn_status_t, status),
    EVTCHN(bind_vcpu, 4, evtchn_bind_vcpu_t, bind_vcpu),
    EVTCHN(reset, 1, evtchn_reset_t, reset, note_reset),
    EVTCHN(init_control, 1, evtchn_init_control_t, init_control),
    EVTCHN(expand_array, 1, evtchn_expand_array_t, expand_array),
    EVTCHN(set_priority, 2, evtchn_set_priority_t, set_priority),

    GRANT("map_grant_ref", map_grant_ref, 12, Map, map_host, note_map, STATUS(Map)),
    GRANT("map_grant_ref, odd", map_grant_ref, 8, Map, map_any, note_map, STATUS(Map)),
    GRANT("unmap_grant_ref", unmap_grant_ref, 22, Unmap, unmap, note_unmap<Unmap>, STATUS(Unmap)),
    GRANT("unmap_and_replace", unmap_and_replace, 4, Replace, replace, note_unmap<Replace>, STATUS(Replace)),
    GRANT("copy, from a grant", copy, 5, Copy, copy, nullptr, STATUS(Copy)),
    GRANT("copy, to a grant", copy, 5, Copy, copy_out, nullptr, STATUS(Copy)),
    GRANT("transfer", transfer, 2, gnttab_transfer_t, transfer, note_gone, STATUS(gnttab_transfer_t)),
    GRANT("swap_grant_ref", swap_grant_ref, 2, gnttab_swap_grant_ref_t, swap, nullptr, STATUS(gnttab_swap_grant_ref_t)),
    GRANT("setup_table", setup_table, 1, gnttab_setup_table_t, setup, nullptr, STATUS(gnttab_setup_table_t)),
    GRANT("get_status_frames", get_status_frames, 2, gnttab_get_status_frames_t, statuses, nullptr,
          STATUS(gnttab_get_status_frames_t)),
    GRANT("query_size", query_size, 1, gnttab_query_size_t, query_size, nullptr, STATUS(gnttab_query_size_t)),
    GRANT("get_version", get_version, 1, gnttab_get_version_t, get_version),
    GRANT("set_version", set_version, 1, gnttab_set_version_t, set_version, note_version),
    GRANT("cache_flush", cache_flush, 1, gnttab_cache_flush_t, cache_flush),

    Operation{"mmu_update", __HYPERVISOR_mmu_update, Form::list, 40, 0, STRUCT(mmu_update_t), mmu_update_fields},
    PLAIN("update_va_mapping", update_va_mapping, 40, home_or_window),
    PLAIN("update_va_mapping_otherdomain", update_va_mapping_otherdomain, 3, other_domain),
    EXT("pin_l1", 8, pin_l1, note_pin),
    EXT("pin_l2", 6, pin_l2, note_pin),
    EXT("pin_l3", 6, pin_l3, note_pin),
    EXT("pin_l4", 6, pin_l4, note_pin),
    EXT("unpin_table", 4, unpin_table, note_unpin),
    EXT("new_baseptr", 3, new_baseptr),
    EXT("new_user_baseptr", 3, new_user_baseptr),
    EXT("tlb_flush_local", 1, flush_local),
    EXT("invlpg_local", 1, invlpg_local),
    EXT("tlb_flush_multi", 1, flush_multi),
    EXT("invlpg_multi", 1, invlpg_multi),
    EXT("tlb_flush_all", 1, flush_all),
    EXT("invlpg_all", 1, invlpg_all),
    EXT("flush_cache", 1, flush_cache, nullptr, -1, true),
    EXT("set_ldt", 4, set_ldt),
    EXT("clear_page", 3, clear_page),
    EXT("copy_page", 3, copy_page),
    EXT("flush_cache_global", 1, flush_cache_global, nullptr, -1, true),
    EXT("mark_super", 1, mark_super, nullptr, -1, true),

    MEMORY("decrease_reservation", XENMEM_decrease_reservation, 0, Reservation, decrease),
    MEMORY("populate_physmap", XENMEM_populate_physmap, 0, Reservation, populate),
    MEMORY("exchange", XENMEM_exchange, 0, Exchange, exchange_odd, note_exchange),
    MEMORY("populate_physmap, too much", XENMEM_populate_physmap, 1, Reservation, populate_large),
    MEMORY("exchange, odd", XENMEM_exchange, 4, Exchange, exchange_odd, note_exchange),
    MEMORY("current_reservation", XENMEM_current_reservation, 1, domid_t, one_domain),
    MEMORY("maximum_reservation", XENMEM_maximum_reservation, 1, domid_t, one_domain),
    MEMORY("maximum_gpfn", XENMEM_maximum_gpfn, 1, domid_t, one_domain),
    MEMORY("maximum_ram_page", XENMEM_maximum_ram_page, 1, u64, nothing),
    MEMORY("machphys_mapping", XENMEM_machphys_mapping, 1, xen_machphys_mapping_t, nothing),
    MEMORY("machphys_mfn_list", XENMEM_machphys_mfn_list, 1, xen_machphys_mfn_list_t, mfn_list, nullptr, -1, true),
    MEMORY("memory_map", XENMEM_memory_map, 1, xen_memory_map_t, map_list),
    MEMORY("machine_memory_map", XENMEM_machine_memory_map, 1, xen_memory_map_t, map_list, nullptr, -1, true),
    MEMORY("set_memory_map", XENMEM_set_memory_map, 1, xen_foreign_memory_map_t, set_map),
    MEMORY("claim_pages", XENMEM_claim_pages, 1, Reservation, claim, nullptr, -1, true),
    MEMORY("acquire_resource", XENMEM_acquire_resource, 1, xen_mem_acquire_resource_t, acquire, nullptr, -1, true),
    MEMORY("add_to_physmap", XENMEM_add_to_physmap, 1, xen_add_to_physmap_t, add_to_physmap, nullptr, -1, true),

    VCPU(is_up, 1, vcpu, u64, nothing),
    VCPU(up, 0, spare_vcpu, u64, nothing),
    VCPU(down, 0, spare_vcpu, u64, nothing),
    Operation{"vcpu initialise, bad", __HYPERVISOR_vcpu_op, Form::command_vcpu, 1, VCPUOP_initialise,
              STRUCT(vcpu_guest_context_t), bad_context, nullptr, -1, true},
    VCPU(initialise, 0, spare_vcpu, vcpu_guest_context_t, bad_context),
    VCPU(get_runstate_info, 1, vcpu, vcpu_runstate_info_t, nothing),
    VCPU(register_runstate_memory_area, 1, vcpu, vcpu_register_runstate_memory_area_t, area),
    VCPU(register_vcpu_time_memory_area, 1, vcpu, vcpu_register_time_memory_area_t, area),
    VCPU(set_periodic_timer, 1, vcpu, vcpu_set_periodic_timer_t, periodic),
    VCPU(stop_periodic_timer, 1, vcpu, u64, nothing),
    VCPU(set_singleshot_timer, 1, vcpu, vcpu_set_singleshot_timer_t, singleshot),
    VCPU(stop_singleshot_timer, 1, vcpu, u64, nothing),
    VCPU(register_vcpu_info, 1, spare_vcpu, vcpu_register_vcpu_info_t, register_info),
    VCPU(send_nmi, 1, vcpu, u64, nothing),
    VCPU(get_physid, 1, vcpu, vcpu_get_physid_t, nothing, nullptr, -1, true),

    SCHED(yield, 1, u64, nothing),
    SCHED(poll, 2, sched_poll_t, poll),
    SCHED(watchdog, 1, sched_watchdog_t, watchdog),
    SCHED(remote_shutdown, 1, sched_remote_shutdown_t, remote_shutdown, nullptr, -1, true),
    SCHED(pin_override, 1, sched_pin_override_t, pin_override, nullptr, -1, true),

    PLAIN("set_trap_table", set_trap_table, 2, set_trap_table),
    PLAIN("set_gdt", set_gdt, 4, set_gdt),
    PLAIN("stack_switch", stack_switch, 1, stack_switch),
    PLAIN("set_callbacks", set_callbacks, 1, set_callbacks),
    PLAIN("fpu_taskswitch", fpu_taskswitch, 1, two_registers),
    PLAIN("update_descriptor", update_descriptor, 4, update_descriptor),
    PLAIN("set_segment_base", set_segment_base, 2, segment_base),
    PLAIN("set_debugreg", set_debugreg, 1, debug_register),
    PLAIN("set_debugreg 7", set_debugreg, 1, debug_control),
    PLAIN("get_debugreg", get_debugreg, 1, debug_register),
    PLAIN("set_timer_op", set_timer_op, 2, timer),
    PLAIN("vm_assist", vm_assist, 1, vm_assist),
    Operation{"callback register", __HYPERVISOR_callback_op, Form::command_pointer, 1, CALLBACKOP_register,
              STRUCT(callback_register_t), event_callback},
    Operation{"callback unregister", __HYPERVISOR_callback_op, Form::command_pointer, 1, CALLBACKOP_unregister,
              STRUCT(callback_unregister_t), unregister, nullptr, -1, true},

    PLAIN("xen_version", xen_version, 2, version_reply),
    PLAIN("console_io", console_io, 1, console, nullptr, -1, true),
    PHYSDEV(set_iopl, 1, physdev_set_iopl_t, iopl),
    PHYSDEV(set_iobitmap, 1, physdev_set_iobitmap_t, iobitmap),
    PHYSDEV(eoi, 1, physdev_eoi_t, irq, nullptr, -1, true),
    PHYSDEV(irq_status_query, 1, physdev_irq_status_query_t, irq, nullptr, -1, true),
    PHYSDEV(map_pirq, 1, physdev_map_pirq_t, map_pirq, nullptr, -1, true),
    Operation{"domctl", __HYPERVISOR_domctl, Form::pointer, 4, 0, STRUCT(xen_domctl_t), domctl, nullptr, -1, true},
    Operation{"sysctl", __HYPERVISOR_sysctl, Form::pointer, 2, 0, STRUCT(xen_sysctl_t), sysctl, nullptr, -1, true},
    Operation{"platform_op", __HYPERVISOR_platform_op, Form::pointer, 2, 0, STRUCT(xen_platform_op_t), platform,
              nullptr, -1, true},
    Operation{"mca", __HYPERVISOR_mca, Form::pointer, 1, 0, STRUCT(xen_mc_t), mca, nullptr, -1, true},
    PLAIN("nmi_op", nmi_op, 1, no_nmi),
    PLAIN("xenpmu_op", xenpmu_op, 1, junk),
    PLAIN("xsm_op", xsm_op, 1, junk, nullptr, -1, true),
    PLAIN("hvm_op", hvm_op, 1, junk, nullptr, -1, true),
    PLAIN("tmem_op", tmem_op, 1, junk, nullptr, -1, true),
    PLAIN("kexec_op", kexec_op, 1, junk, nullptr, -1, true),
    PLAIN("argo_op", argo_op, 1, junk, nullptr, -1, true),
    PLAIN("dm_op", dm_op, 1, junk, nullptr, -1, true),
    PLAIN("hypfs_op", hypfs_op, 1, junk, nullptr, -1, true),
    // Sequences (fuzzer.cpp)
    PLAIN("multicall", multicall, 0, junk),
    PLAIN("iret", iret, 0, junk),
};

} // namespace

const std::span<const Operation> operations(table);

} // namespace fuzz
