// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a vCPU may move its vcpu_info into a page of the guest and have its run states written to memory
// the guest names. The hypervisor then writes into guest memory on its own, so the place has to be checked
// once and stay safe: no page table, no page's edge, and nothing lost on the way over.

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

long register_info(u64 mfn, u32 offset) {
    vcpu_register_vcpu_info_t op = {};
    op.mfn = mfn;
    op.offset = offset;
    return vcpu_op(VCPUOP_register_vcpu_info, 0, &op);
}

void check_runstate() {
    Page* page = alloc_page();
    auto& area = *reinterpret_cast<volatile vcpu_runstate_info_t*>(page);
    vcpu_register_runstate_memory_area_t op = {};
    op.addr.p = std::bit_cast<u64>(page);
    expect_eq(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op), 0, "a run-state area");
    expect_eq(area.state, RUNSTATE_running, "says that we run");
    set_timer(system_time() + 20'000'000);
    const long port = bind_virq(VIRQ_TIMER);
    unmask_port(static_cast<u32>(port));
    const u64 blocked = area.time[RUNSTATE_blocked];
    sched_op(SCHEDOP_block);
    mask_events();
    clear_port(static_cast<u32>(port));
    expect_eq(area.state, RUNSTATE_running, "and again after a sleep");
    expect(area.time[RUNSTATE_blocked] >= blocked + 10'000'000, "which is counted as blocked time");
    expect(area.state_entry_time <= system_time(), "the entry time is not in the future");
    vcpu_runstate_info_t copy = {};
    expect_eq(vcpu_op(VCPUOP_get_runstate_info, 0, &copy), 0, "VCPUOP_get_runstate_info");
    expect(copy.state == RUNSTATE_running && copy.time[RUNSTATE_blocked] == area.time[RUNSTATE_blocked], "agrees");
    op.addr.p = HYPERVISOR_VIRT_START;
    expect_eq(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op), -XEN_EFAULT, "an area in the hypervisor");
    require_eq(update_va_mapping(std::bit_cast<u64>(page), 0), 0, "the area's page goes");
    set_timer(system_time() + 5'000'000);
    sched_op(SCHEDOP_block);
    mask_events();
    clear_port(static_cast<u32>(port));
    expect_eq(xen_version(XENVER_pagesize), 4096, "the hypervisor survives that");
}

void check_time_area() {
    vcpu_register_time_memory_area_t op = {};
    static vcpu_time_info_t area;
    op.addr.p = std::bit_cast<u64>(&area);
    const long result = vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &op);
    expect(result == 0 || result == -XEN_ENOSYS, "a time area is taken or not offered");
    if (result == 0) expect(area.tsc_to_system_mul != 0, "and filled at once");
}

void check_info() {
    const long port = bind_ipi(0);
    require_eq(port > 0, true, "an event channel");
    mask_events();
    unmask_port(static_cast<u32>(port));
    expect_error(register_info(mfn_of(alloc_page()), 4096 - 32), "a place across a page's end");
    expect_error(register_info(mfn_of(alloc_page()), 12), "a place that is not aligned");
    expect_error(register_info(root_mfn(), 0), "a place in a page table");
    expect_error(register_info(1ull << 40, 0), "a place beyond the machine");

    Page* page = alloc_page();
    auto* moved = reinterpret_cast<vcpu_info_t*>(reinterpret_cast<char*>(page) + 256);
    this_vcpu().arch.cr2 = 0x77;
    expect_eq(register_info(mfn_of(page), 256), 0, "a place of our own");
    expect_eq(moved->arch.cr2, 0x77, "what was there moves over");
    expect_eq(moved->evtchn_upcall_mask, 1, "and the mask too");
    expect(moved->time.tsc_to_system_mul != 0, "and the time record");
    expect_error(register_info(mfn_of(page), 512), "it moves once only");
    expect_error(pin(1, page), "the page cannot become a page table");

    moved->evtchn_upcall_pending = 0;
    moved->evtchn_pending_sel = 0;
    clear_port(static_cast<u32>(port));
    expect_eq(send(static_cast<u32>(port)), 0, "an event");
    expect_eq(moved->evtchn_upcall_pending, 1, "shows in the new place");
    expect_eq(moved->evtchn_pending_sel, 1ull << (port / 64), "with its selector");
    catch_trap([] { *reinterpret_cast<volatile u64*>(0x7f0000005678) = 1; });
    expect_eq(moved->arch.cr2, 0x7f0000005678, "so does the address of a page fault");
}

} // namespace

GUEST("vcpu-areas") {
    check_runstate();
    check_time_area();
    check_info();
}
