// SPDX-License-Identifier: GPL-2.0-only
//
// The story: before a domain runs its builder sets what it will be, and a migration carries over what it was: entries,
// registers of the processor's extensions, features, time. All of it has to come back as it was put in, and nothing that
// a processor would refuse may be put in. The domain here has no memory and never runs.
// qemu: -cpu max,-smap

#include <cstddef>

#include "tests/guests/lib/control.hpp"
#include "tests/guests/lib/paging.hpp"

using namespace guest;

namespace {

constinit domid_t id = 0;

u32 flags_of() {
    xen_domctl_t op = {};
    require_eq(domctl(XEN_DOMCTL_getdomaininfo, id, op), 0, "DOMCTL_getdomaininfo");
    return op.u.getdomaininfo.flags;
}

void check_shutdown() {
    sched_remote_shutdown_t request = {.domain_id = id, .reason = SHUTDOWN_reboot};
    expect_eq(sched_op(SCHEDOP_remote_shutdown, &request), 0, "SCHEDOP_remote_shutdown");
    const u32 flags = flags_of();
    expect((flags & XEN_DOMINF_shutdown) != 0, "the domain has shut down");
    expect_eq(flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask, SHUTDOWN_reboot, "for that reason");
    expect_eq(domctl(XEN_DOMCTL_resumedomain, id), 0, "DOMCTL_resumedomain");
    expect((flags_of() & XEN_DOMINF_shutdown) == 0, "the domain goes on");
}

void check_entries() {
    constexpr u32 size = offsetof(xen_domctl_ext_vcpucontext, mcg_cap);
    constexpr u64 bad = 0x8000000000000000;
    xen_domctl_t op = {};
    auto& entries = op.u.ext_vcpucontext;
    entries.size = size;
    entries.syscall32_callback_eip = 0x123000;
    entries.sysenter_callback_eip = 0x456000;
    entries.syscall32_callback_cs = entries.sysenter_callback_cs = FLAT_KERNEL_CS & 0xffff;
    entries.sysenter_disables_events = 1;
    expect_eq(domctl(XEN_DOMCTL_set_ext_vcpucontext, id, op), 0, "DOMCTL_set_ext_vcpucontext");
    op = {};
    expect_eq(domctl(XEN_DOMCTL_get_ext_vcpucontext, id, op), 0, "DOMCTL_get_ext_vcpucontext");
    expect_eq(entries.syscall32_callback_eip, 0x123000, "the entry of SYSCALL");
    expect_eq(entries.sysenter_callback_eip, 0x456000, "the one of SYSENTER");
    expect(entries.sysenter_disables_events == 1 && entries.syscall32_disables_events == 0, "and whether events come");
    entries.size = size;
    entries.sysenter_callback_eip = bad;
    expect_eq(domctl(XEN_DOMCTL_set_ext_vcpucontext, id, op), -XEN_EINVAL, "an entry that is no address");
}

void check_extended_state() {
    xen_domctl_t op = {};
    auto& state = op.u.vcpuextstate;
    expect_eq(domctl(XEN_DOMCTL_getvcpuextstate, id, op), 0, "how large the state is");
    const u64 size = state.size, features = state.xfeature_mask;
    expect((features & 3) == 3 && size >= 16 + 576 && size <= 4 * page_size, "at least SSE");
    Page* buffer = alloc_pages(4);
    set_xen_guest_handle(state.buffer, buffer->word);
    expect_eq(domctl(XEN_DOMCTL_getvcpuextstate, id, op), 0, "DOMCTL_getvcpuextstate");

    // As saved: XCR0, what it ever was, the area; its header says which parts are there.
    constexpr unsigned area = 16 / 8, header = area + 512 / 8, xmm0 = area + 160 / 8;
    buffer->word[0] = buffer->word[1] = 3;
    buffer->word[header] = 3;
    buffer->word[area] = 0x37f;
    buffer->word[area + 3] = 0x1f80;
    buffer->word[xmm0] = 0x123456789abcdef;
    state.size = 16 + 576; // of these parts alone
    state.vcpu = 0;
    expect_eq(domctl(XEN_DOMCTL_setvcpuextstate, id, op), 0, "DOMCTL_setvcpuextstate");
    memset(buffer, 0, 4 * page_size);
    state.size = size;
    state.xfeature_mask = features;
    expect_eq(domctl(XEN_DOMCTL_getvcpuextstate, id, op), 0, "read again");
    expect_eq(buffer->word[xmm0], 0x123456789abcdef, "a register is as it was put in");
    buffer->word[0] = 1ull << 62;
    state.size = size;
    expect_error(domctl(XEN_DOMCTL_setvcpuextstate, id, op), "a feature that no processor has");
}

void check_msrs() {
    constexpr u32 tsc_aux = 0xc0000103;
    static xen_domctl_vcpu_msr_t list[16];
    xen_domctl_t op = {};
    auto& msrs = op.u.vcpu_msrs;
    expect_eq(domctl(XEN_DOMCTL_get_vcpu_msrs, id, op), 0, "how many MSRs there are");
    expect(msrs.msr_count >= 1 && msrs.msr_count <= std::size(list), "a few");
    list[0] = {.index = tsc_aux, .reserved = 0, .value = 0x77};
    set_xen_guest_handle(msrs.msrs, list);
    msrs.msr_count = 1;
    expect_eq(domctl(XEN_DOMCTL_set_vcpu_msrs, id, op), 0, "DOMCTL_set_vcpu_msrs");
    list[0] = {};
    msrs.msr_count = std::size(list);
    expect_eq(domctl(XEN_DOMCTL_get_vcpu_msrs, id, op), 0, "DOMCTL_get_vcpu_msrs");
    unsigned found = 0;
    for (u32 i = 0; i < msrs.msr_count; ++i) found += list[i].index == tsc_aux && list[i].value == 0x77;
    expect_eq(found, 1, "it is as it was put in");
    list[0] = {.index = tsc_aux, .reserved = 0, .value = 0x78};
    list[1] = {.index = 0x1b, .reserved = 0, .value = 0};
    msrs.msr_count = 2;
    expect_eq(domctl(XEN_DOMCTL_set_vcpu_msrs, id, op), -XEN_EINVAL, "an MSR that is not a vCPU's");
    expect_eq(msrs.msr_count, 1, "is the second");
}

void check_policy() {
    static xen_cpuid_leaf_t leaves[200];
    static xen_msr_entry_t msrs[32];
    xen_domctl_t op = {};
    auto& policy = op.u.cpu_policy;
    expect_eq(domctl(XEN_DOMCTL_get_cpu_policy, id, op), 0, "how large the policy is");
    require_eq(policy.nr_leaves > 4 && policy.nr_leaves <= std::size(leaves) && policy.nr_msrs <= std::size(msrs), true,
               "some leaves");
    const u32 room = policy.nr_leaves;
    set_xen_guest_handle(policy.leaves, leaves);
    set_xen_guest_handle(policy.msrs, msrs);
    expect_eq(domctl(XEN_DOMCTL_get_cpu_policy, id, op), 0, "DOMCTL_get_cpu_policy");
    const auto feature_leaf = [&]() -> xen_cpuid_leaf_t* {
        for (u32 i = 0; i < room; ++i)
            if (leaves[i].leaf == 1) return &leaves[i];
        return leaves;
    };
    constexpr u32 popcnt = 1u << 23;
    expect((feature_leaf()->c & popcnt) != 0, "the processor has POPCNT");
    feature_leaf()->c &= ~popcnt;
    expect_eq(domctl(XEN_DOMCTL_set_cpu_policy, id, op), 0, "DOMCTL_set_cpu_policy");
    policy.nr_leaves = room;
    memset(leaves, 0, sizeof leaves);
    expect_eq(domctl(XEN_DOMCTL_get_cpu_policy, id, op), 0, "read again");
    expect_eq(feature_leaf()->c & popcnt, 0, "the domain has none");
}

void check_settings() {
    xen_domctl_t op = {};
    expect_eq(domctl(XEN_DOMCTL_get_address_size, id, op), 0, "DOMCTL_get_address_size");
    expect_eq(op.u.address_size.size, 64, "64 bits");
    op.u.tsc_info = {.tsc_mode = 1, .gtsc_khz = 0, .incarnation = 3, .pad = 0, .elapsed_nsec = 0};
    expect_eq(domctl(XEN_DOMCTL_settscinfo, id, op), 0, "DOMCTL_settscinfo");
    expect_eq(domctl(XEN_DOMCTL_gettscinfo, id, op), 0, "DOMCTL_gettscinfo");
    expect(op.u.tsc_info.tsc_mode == 1 && op.u.tsc_info.gtsc_khz > 1000, "the mode, and a frequency");
    u64 nodes = 1;
    op = {};
    set_xen_guest_handle(op.u.nodeaffinity.nodemap.bitmap, reinterpret_cast<u8*>(&nodes));
    op.u.nodeaffinity.nodemap.nr_bits = 64;
    expect_eq(domctl(XEN_DOMCTL_setnodeaffinity, id, op), 0, "DOMCTL_setnodeaffinity");
    nodes = 0;
    expect_eq(domctl(XEN_DOMCTL_getnodeaffinity, id, op), 0, "DOMCTL_getnodeaffinity");
    expect_eq(nodes, 1, "the one node that there is");
    nodes = 0;
    expect_eq(domctl(XEN_DOMCTL_setnodeaffinity, id, op), -XEN_EINVAL, "no node at all");

    op = {};
    op.u.set_virq_handler.virq = VIRQ_CONSOLE;
    expect_eq(domctl(XEN_DOMCTL_set_virq_handler, id, op), 0, "DOMCTL_set_virq_handler");
    expect_eq(domctl(XEN_DOMCTL_set_virq_handler, 0, op), 0, "and back to dom0");
    op.u.set_virq_handler.virq = VIRQ_TIMER;
    expect_eq(domctl(XEN_DOMCTL_set_virq_handler, id, op), -XEN_EINVAL, "an interrupt that each vCPU has");
}

/// A domain that serves another one. The incumbent has this for hardware-assisted ones alone.
void check_target(domid_t served) {
    xen_domctl_t op = {};
    op.u.set_target.target = id;
    expect_eq(domctl(XEN_DOMCTL_set_target, id, op), -XEN_EINVAL, "the domain itself");
    op.u.set_target.target = served;
    const long result = domctl(XEN_DOMCTL_set_target, id, op);
    expect(result == 0 || result == -XEN_EOPNOTSUPP, "DOMCTL_set_target");
    if (result == 0) expect_eq(domctl(XEN_DOMCTL_set_target, id, op), -XEN_EINVAL, "once");
}

/// Where version 2 grants have their status.
void check_status_frames() {
    xen_mem_acquire_resource_t op = {};
    op.domid = id;
    op.type = XENMEM_resource_grant_table;
    op.id = XENMEM_resource_grant_table_id_status;
    expect_eq(memory_op(XENMEM_acquire_resource, &op), 0, "how many frames of status there may be");
    expect(op.nr_frames != 0 && op.nr_frames < 64, "fewer than of the table");
    const u32 most = op.nr_frames;
    xen_pfn_t frame = 0;
    set_xen_guest_handle(op.frame_list, &frame);
    op.frame = most;
    op.nr_frames = 1;
    expect_eq(memory_op(XENMEM_acquire_resource, &op), -XEN_EINVAL, "one beyond the last");
}

long pin(int cpu) {
    sched_pin_override_t request = {.pcpu = cpu};
    return sched_op(SCHEDOP_pin_override, &request);
}

void check_pin() {
    expect_eq(pin(-1), -XEN_EINVAL, "nothing is pinned");
    expect_eq(pin(0), 0, "SCHEDOP_pin_override");
    expect_error(pin(77), "to a processor that is not there");
    expect_eq(pin(-1), 0, "it ends");
}

} // namespace

GUEST("control") {
    id = new_domain(2);
    const domid_t served = new_domain();
    check_shutdown();
    check_entries();
    check_extended_state();
    check_msrs();
    check_policy();
    check_settings();
    check_target(served);
    check_status_frames();
    check_pin();
    expect_eq(domctl(XEN_DOMCTL_destroydomain, id), 0, "the domain ends");
    expect_eq(domctl(XEN_DOMCTL_destroydomain, served), 0, "and the other one");
    // What the machine's end will be called from now on: as it is, anyhow.
    sched_shutdown_t code = {.reason = SHUTDOWN_poweroff};
    expect_eq(sched_op(SCHEDOP_shutdown_code, &code), 0, "SCHEDOP_shutdown_code");
}
