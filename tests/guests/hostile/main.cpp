// SPDX-License-Identifier: GPL-2.0-only
//
// The story: every pointer in a hypercall is a guest's lie until proven otherwise. Each hypercall of the
// table gets addresses that are zero, unmapped, non-canonical, the hypervisor's own, wrapping, or running
// from a good page into a hole, with counts to match. All calls have to come back, with an error where
// memory is needed, and nothing may be written into the hypervisor's addresses.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit u64 addresses[12] = {
    0,
    8,
    0x7f0000000000,        // unmapped
    0x00007ffffffffff8,    // the lower canonical edge
    0x8000000000000000,    // non-canonical
    HYPERVISOR_VIRT_START, // the M2P
    HYPERVISOR_VIRT_START + 0x8000000000,
    0xffff82d040200000,      // where the hypervisor's image lies
    HYPERVISOR_VIRT_END - 8, // the upper edge
    0xfffffffffffffff8,      // wraps
    0,                       // the end of a good page before a hole
    0,                       // a read-only page full of ones
};

void prepare() {
    Page* pages = alloc_pages(2);
    require_eq(update_va_mapping(std::bit_cast<u64>(&pages[1]), 0), 0, "a hole");
    addresses[10] = std::bit_cast<u64>(&pages[1]) - 1;
    Page* constant = alloc_page();
    memset(constant, 0xff, sizeof(Page));
    require_eq(make_readonly(constant), 0, "a read-only page");
    addresses[11] = std::bit_cast<u64>(constant);
}

struct Call {
    unsigned number;
    int command;         ///< the first argument, or -1 when the first argument is the pointer
    unsigned third;      ///< a count or index behind the pointer
    bool may_do_nothing; ///< answers with a count of what was done, which may be 0
    const char* name;
};

constexpr Call calls[] = {
    {__HYPERVISOR_set_trap_table, -1, 0, false, "set_trap_table"},
    {__HYPERVISOR_mmu_update, -1, 2, false, "mmu_update"},
    {__HYPERVISOR_mmuext_op, -1, 2, false, "mmuext_op"},
    {__HYPERVISOR_set_gdt, -1, 512, false, "set_gdt"},
    {__HYPERVISOR_multicall, -1, 2, false, "multicall"},
    {__HYPERVISOR_platform_op, -1, 0, false, "platform_op"},
    {__HYPERVISOR_domctl, -1, 0, false, "domctl"},
    {__HYPERVISOR_sysctl, -1, 0, false, "sysctl"},
    {__HYPERVISOR_memory_op, XENMEM_populate_physmap, 0, true, "populate_physmap"},
    {__HYPERVISOR_memory_op, XENMEM_decrease_reservation, 0, true, "decrease_reservation"},
    {__HYPERVISOR_memory_op, XENMEM_exchange, 0, false, "exchange"},
    {__HYPERVISOR_memory_op, XENMEM_machine_memory_map, 0, false, "machine_memory_map"},
    {__HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, 0, false, "machphys_mfn_list"},
    {__HYPERVISOR_memory_op, XENMEM_current_reservation, 0, false, "current_reservation"},
    {__HYPERVISOR_memory_op, XENMEM_add_to_physmap, 0, false, "add_to_physmap"},
    {__HYPERVISOR_memory_op, XENMEM_acquire_resource, 0, false, "acquire_resource"},
    {__HYPERVISOR_memory_op, XENMEM_claim_pages, 0, false, "claim_pages"},
    {__HYPERVISOR_xen_version, XENVER_extraversion, 0, false, "extraversion"},
    {__HYPERVISOR_xen_version, XENVER_get_features, 0, false, "get_features"},
    {__HYPERVISOR_xen_version, XENVER_commandline, 0, false, "commandline"},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_send, 0, false, "evtchn send"},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, 0, false, "alloc_unbound"},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, 0, false, "bind_interdomain"},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_status, 0, false, "evtchn status"},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_init_control, 0, false, "init_control"},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, 0, false, "set_iopl"},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, 0, false, "map_pirq"},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_apic_read, 0, false, "apic_read"},
    {__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, 1, false, "setup_table"},
    {__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, 2, false, "map_grant_ref"},
    {__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, 2, false, "unmap_grant_ref"},
    {__HYPERVISOR_grant_table_op, GNTTABOP_copy, 2, false, "grant copy"},
    {__HYPERVISOR_grant_table_op, GNTTABOP_query_size, 1, false, "query_size"},
    {__HYPERVISOR_sched_op, SCHEDOP_poll, 0, false, "poll"},
    {__HYPERVISOR_callback_op, CALLBACKOP_register, 0, false, "callback register"},
    {__HYPERVISOR_nmi_op, XENNMI_register_callback, 0, false, "nmi register"},
    {__HYPERVISOR_xsm_op, -1, 0, false, "xsm_op"},
};

/// The words by which it would show if the hypervisor wrote through one of its own addresses for us.
u64 sample_m2p() {
    u64 sum = 0;
    for (u64 mfn = 0; mfn < 64; ++mfn) sum = sum * 31 + m2p(mfn);
    return sum;
}

bool fits(u64 address) {
    return address == addresses[11]; // readable, so a call that only reads may succeed or fail by content
}

void check_pointers() {
    const u64 before = sample_m2p();
    for (const Call& call : calls) {
        for (u64 address : addresses) {
            if (call.number == __HYPERVISOR_set_trap_table && address == 0) continue; // clears the table by definition
            const long result = call.command < 0 ? hypercall(call.number, address, call.third, 0, DOMID_SELF)
                                                 : hypercall(call.number, call.command, address, call.third);
            if (fits(address)) continue;
            const bool failed = (result < 0 && result >= -200) || (call.may_do_nothing && result == 0);
            if (!failed) Line() << call.name << " at " << Hex{address} << " gives " << result;
            expect(failed, "a hypercall with a bad pointer fails");
        }
    }
    expect_eq(sample_m2p(), before, "nothing was written into the hypervisor's addresses");
}

void check_per_vcpu() {
    for (int command : {VCPUOP_initialise, VCPUOP_get_runstate_info, VCPUOP_register_runstate_memory_area,
                        VCPUOP_set_periodic_timer, VCPUOP_set_singleshot_timer, VCPUOP_register_vcpu_info,
                        VCPUOP_register_vcpu_time_memory_area, VCPUOP_get_physid})
        for (u64 address : addresses)
            if (!fits(address))
                expect_error(vcpu_op(command, 0, reinterpret_cast<void*>(address)), "a VCPUOP with a bad pointer");
}

void check_counts() {
    static mmu_update_t update = {};
    static multicall_entry_t entries[2] = {};
    entries[0].op = entries[1].op = 63;
    expect_error(multicall(entries, 0xffffffff), "a multicall of 2^32 - 1 entries");
    expect_error(mmu_update_op(&update, 0x7fffffff), "an mmu_update of 2^31 - 1 entries");
    static mmuext_op_t op = {};
    op.cmd = 99;
    expect_error(mmuext_ops(&op, 0x7fffffff), "an mmuext_op of 2^31 - 1 entries");
    expect_error(hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, &update, 0xffffffff), "grants");
    expect_error(hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, 0x7fffffff, 0x7f0000000000), "a long write");
    static evtchn_port_t port = 0;
    sched_poll_t poll = {};
    set_xen_guest_handle(poll.ports, &port);
    poll.nr_ports = 0xffffffff;
    expect_error(sched_op(SCHEDOP_poll, &poll), "a poll of 2^32 - 1 ports");
}

void check_versions() {
    static u64 zeroes[32] = {};
    expect_error(hypercall(__HYPERVISOR_domctl, zeroes), "a domctl of version 0");
    expect_error(hypercall(__HYPERVISOR_sysctl, zeroes), "a sysctl of version 0");
    expect_error(hypercall(__HYPERVISOR_platform_op, zeroes), "a platform_op of version 0");
}

} // namespace

GUEST("hostile") {
    prepare();
    check_pointers();
    check_per_vcpu();
    check_counts();
    check_versions();
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "the hypervisor lives on");
}
