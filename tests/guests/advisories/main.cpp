// SPDX-License-Identifier: GPL-2.0-only
//
// The story: hypervisors for paravirtual guests have fallen to tricks that fit nowhere else in these tests. A system call whose
// return address is not canonical; a debug exception that MOV SS holds back until the hypervisor's first instruction; lists
// that end in a hole, whose first part was carried out; counts that overflow; answers that land in the list they answer; a
// long operation during which no interrupt comes through. Each is tried, and everything has to be as the ABI says afterwards.

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 below_the_hole = 0x7ffffffff000;

/// SYSRET to such an address would fault in ring 0 with the guest's stack (Intel).
void check_return_to_the_hole() {
    Page* code = alloc_page();
    auto* bytes = reinterpret_cast<u8*>(code);
    bytes[0xffe] = 0x0f; // syscall
    bytes[0xfff] = 0x05;
    require_eq(map(below_the_hole, mfn_of(code), pte_ro), 0, "the last page below the hole");
    const Trap trap = catch_trap([] {
        asm volatile("movq %%rsp, %%r12\n\tjmp *%[to]"
                     :
                     : [to] "r"(below_the_hole + 0xffe), "a"(u64{__HYPERVISOR_xen_version}), "D"(u64{XENVER_version}),
                       "S"(0ull)
                     : "rcx", "r11", "r12", "memory");
    });
    expect(trap.taken, "there is no return to where nothing can be");
    expect(trap.is(vector_gp) || trap.is(entry_failsafe) || trap.is(vector_pf),
           "the guest is told, not the hypervisor");
    require_eq(update_va_mapping(below_the_hole, 0), 0, "the page goes");
}

/// The breakpoint's exception is due behind the instruction after MOV SS, which is the first of the hypervisor.
void check_held_back_debug_trap() {
    static volatile u16 selector;
    selector = FLAT_KERNEL_SS & 0xffff;
    require_eq(hypercall(__HYPERVISOR_set_debugreg, 0, std::bit_cast<u64>(&selector)), 0, "a breakpoint");
    require_eq(hypercall(__HYPERVISOR_set_debugreg, 7, 1 | 0x7 << 16), 0, "on reads of a selector");
    u64 result = __HYPERVISOR_xen_version;
    set_trap_hook(vector_db, [](Frame&) { return true; });
    const Trap trap = catch_trap([&] {
        asm volatile("movw %[selector], %%ss\n\tsyscall"
                     : "+a"(result)
                     : [selector] "m"(selector), "D"(u64{XENVER_version}), "S"(0ull)
                     : "rcx", "r11", "memory");
    });
    set_trap_hook(vector_db, nullptr);
    require_eq(hypercall(__HYPERVISOR_set_debugreg, 7, 0), 0, "no breakpoint");
    expect(!trap.taken, "the call comes back");
    expect_eq(result, 4 << 16 | 17, "with its result");
}

/// The mappings in front of the hole are made, and can be undone.
void check_half_a_list() {
    grant_entry_v1_t* table = init_grants_v1();
    Page *shared = alloc_page(), *list = alloc_pages(2), *windows = alloc_pages(3);
    require_eq(update_va_mapping(std::bit_cast<u64>(list + 1), 0), 0, "a hole");
    grant_access(table, 20, 0, mfn_of(shared));
    auto* ops = reinterpret_cast<gnttab_map_grant_ref_t*>(list + 1) - 3;
    for (unsigned i = 0; i < 3; ++i) {
        ops[i] = {};
        ops[i].host_addr = std::bit_cast<u64>(windows + i);
        ops[i].flags = GNTMAP_host_map;
        ops[i].ref = i == 1 ? 21 : 20; // the second grants nothing
    }
    expect_eq(grant_table_op(GNTTABOP_map_grant_ref, ops, 5), -XEN_EFAULT, "a list that runs into a hole");
    expect(ops[0].status == GNTST_okay && ops[1].status < 0 && ops[2].status == GNTST_okay,
           "what is before it is carried out");
    gnttab_unmap_grant_ref_t undo[3] = {};
    for (unsigned i = 0; i < 3; ++i)
        undo[i] = {
            .host_addr = ops[i].host_addr, .dev_bus_addr = 0, .handle = i == 1 ? 999 : ops[i].handle, .status = 0};
    expect_eq(grant_table_op(GNTTABOP_unmap_grant_ref, undo, 3), 0, "a list with a bad handle");
    expect(undo[0].status == GNTST_okay && undo[1].status < 0 && undo[2].status == GNTST_okay,
           "does not spoil the others");
    expect_eq(table[20].flags & (GTF_reading | GTF_writing), 0, "and the grant is not in use any more");
    for (unsigned i = 0; i < 3; ++i) require_eq(make_writable(windows + i), 0, "the windows are as before");
}

void check_overflows() {
    static xen_pfn_t list[4];
    domid_t self = DOMID_SELF;
    const long before = memory_op(XENMEM_current_reservation, &self);
    for (const u64 count : {~0ull, 1ull << 63, 1ull << 58, (1ull << 52) + 1})
        for (const unsigned order : {0u, 9u, 12u, 52u, 63u, 64u, ~0u}) {
            xen_memory_exchange_t x = {};
            set_xen_guest_handle(x.in.extent_start, list);
            set_xen_guest_handle(x.out.extent_start, list);
            x.in = {.extent_start = x.in.extent_start,
                    .nr_extents = count,
                    .extent_order = order,
                    .mem_flags = 0,
                    .domid = DOMID_SELF};
            x.out = x.in;
            expect_error(memory_op(XENMEM_exchange, &x), "an exchange of more than there is");
            x.nr_exchanged = count == ~0ull ? 1 : ~0ull;
            expect_error(memory_op(XENMEM_exchange, &x), "that is said to be done already");
            if (order < 10) continue; // many small ones are lawful, as far as they go
            xen_memory_reservation_t r = x.in;
            expect(memory_op(XENMEM_populate_physmap, &r) <= 0, "more memory than there is");
        }
    expect_eq(memory_op(XENMEM_current_reservation, &self), before, "the reservation is as before");
}

/// The number of requests done, or an argument that goes on, is written over the requests themselves.
void check_overlaps() {
    Page* data = alloc_page();
    auto* requests = reinterpret_cast<mmu_update_t*>(alloc_page());
    for (unsigned i = 0; i < 64; ++i) requests[i] = {mfn_of(data) << 12 | 8 * i, i + 1};
    expect_eq(mmu_update_op(requests, 64, reinterpret_cast<u32*>(&requests[63].val)), 0,
              "the count lands in the last request");
    for (unsigned i = 0; i < 64; ++i) expect_eq(data->word[i], i + 1, "which had been carried out before");
    auto* calls = reinterpret_cast<multicall_entry_t*>(requests);
    memset(calls, 0, page_size);
    calls[0].op = __HYPERVISOR_memory_op;
    calls[0].args[0] = XENMEM_machphys_mapping;
    calls[0].args[1] = std::bit_cast<u64>(&calls[1]); // the answer becomes the second call
    calls[1].op = __HYPERVISOR_xen_version;
    expect_eq(multicall(calls, 2), 0, "a list that changes while it is carried out");
    expect_eq(calls[0].result, 0, "the first call's result");
    expect_eq(calls[1].result, -XEN_ENOSYS, "the second is what stands there by then");
}

constinit u32 pinning = 0, came = 0;

void note_event(Frame&) {
    this_vcpu().evtchn_upcall_pending = 0;
    this_vcpu().evtchn_pending_sel = 0;
    if (pinning) came = 1;
}

/// Pinning this takes milliseconds; the timer fires meanwhile.
void check_long_operation() {
    constexpr unsigned tables = 96;
    Page *data = alloc_page(), *l2 = alloc_page();
    Page* l1 = alloc_pages(tables);
    for (unsigned t = 0; t < tables; ++t) {
        for (u64& entry : l1[t].word) entry = pte(mfn_of(data), pte_ro);
        l2->word[t] = pte(mfn_of(l1 + t), pte_rw);
        require_eq(make_readonly(l1 + t), 0, "a table");
    }
    require_eq(make_readonly(l2), 0, "the one above");
    const long port = bind_virq(VIRQ_TIMER);
    require_eq(port > 0, true, "the timer's interrupt");
    set_event_hook(note_event);
    unmask_port(static_cast<u32>(port));
    unmask_events();
    pinning = 1;
    require_eq(set_timer(system_time() + 100'000), 0, "the timer is set");
    const long pinned = pin(2, l2);
    pinning = 0;
    mask_events();
    expect_eq(pinned, 0, "96 tables are pinned");
    expect_eq(came, 1, "and an event came meanwhile");
    expect_eq(unpin(l2), 0, "unpinned");
    for (unsigned t = 0; t < tables; ++t) expect_eq(make_writable(l1 + t), 0, "nothing is left of it");
}

} // namespace

GUEST("advisories") {
    check_return_to_the_hole();
    check_held_back_debug_trap();
    check_half_a_list();
    check_overflows();
    check_overlaps();
    check_long_operation();
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "the hypervisor lives on");
}
