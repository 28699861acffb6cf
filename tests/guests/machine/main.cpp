// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a control domain asks about the machine and sets what only one may set: the clock, processors, power. Tools
// believe the answers, so that they have to agree with each other, and a wish that is not fulfilled is refused, not
// forgotten.

#include "tests/guests/lib/control.hpp"
#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/paging.hpp"

using namespace guest;

namespace {

u64 wall_clock() { return shared_page().wc_sec; }

void check_clock() {
    constexpr u64 moment = 1'234'567'890;
    xen_platform_op_t op = {};
    op.u.settime64 = {.secs = moment, .nsecs = 5, .mbz = 0, .system_time = 0};
    expect_eq(platform_op(XENPF_settime64, op), 0, "XENPF_settime64");
    expect_eq(wall_clock(), moment, "is told in the shared page: the time of the machine's start");
    op.u.settime32 = {.secs = moment + 7, .nsecs = 0, .system_time = 0};
    expect_eq(platform_op(XENPF_settime32, op), 0, "XENPF_settime32");
    expect_eq(wall_clock(), moment + 7, "is told as well");
}

void check_processors() {
    xen_platform_op_t op = {};
    expect_eq(platform_op(XENPF_get_cpuinfo, op), 0, "XENPF_get_cpuinfo");
    expect_eq(op.u.pcpu_info.max_present, 0, "there is one processor");
    expect((op.u.pcpu_info.flags & XEN_PCPU_FLAGS_ONLINE) != 0 && op.u.pcpu_info.apic_id == 0, "which runs");
    op = {};
    expect_eq(platform_op(XENPF_get_cpu_version, op), 0, "XENPF_get_cpu_version");
    expect(op.u.pcpu_version.vendor_id[0] != 0 && op.u.pcpu_version.family != 0, "names its maker");
    op.u.cpu_ol.cpuid = 0;
    if (is_streak()) expect_eq(platform_op(XENPF_cpu_online, op), 0, "it may be started: it is");
    expect_error(platform_op(XENPF_cpu_offline, op), "but not stopped");

    u8 cpus[8] = {0xff};
    u64 idle[8] = {};
    op = {};
    set_xen_guest_handle(op.u.getidletime.cpumap_bitmap, cpus);
    set_xen_guest_handle(op.u.getidletime.idletime, idle);
    op.u.getidletime.cpumap_nr_cpus = 8;
    const long told = platform_op(XENPF_getidletime, op); // the incumbent tells only a dom0 that sets frequencies
    if (!is_streak() && told == -XEN_ENOSYS) return;
    expect_eq(told, 0, "XENPF_getidletime");
    expect_eq(cpus[0], 1, "of those that are there");
    expect(op.u.getidletime.now != 0 && idle[0] <= op.u.getidletime.now, "no more than has passed");
}

void check_power() {
    xen_platform_op_t op = {};
    op.u.core_parking.type = XEN_CORE_PARKING_GET;
    op.u.core_parking.idle_nums = 99;
    expect_eq(platform_op(XENPF_core_parking, op), 0, "XEN_CORE_PARKING_GET");
    expect_eq(op.u.core_parking.idle_nums, 0, "no core is parked");
    op.u.core_parking.type = XEN_CORE_PARKING_SET;
    expect_eq(platform_op(XENPF_core_parking, op), 0, "none is to be");
    op = {};
    u32 pdc[3] = {1, 1, 0};
    op.u.set_pminfo.type = XEN_PM_PDC;
    set_xen_guest_handle(op.u.set_pminfo.u.pdc, pdc);
    expect_eq(platform_op(XENPF_set_processor_pminfo, op), 0, "XEN_PM_PDC");
    op = {};
    expect_eq(platform_op(XENPF_platform_quirk, op), is_streak() ? 0 : -XEN_EINVAL, "no quirk at all");
    op.u.enter_acpi_sleep.flags = 0x80;
    expect_eq(platform_op(XENPF_enter_acpi_sleep, op), -XEN_EINVAL, "to sleep in an unknown way");
    op.u.enter_acpi_sleep = {};
    op.u.enter_acpi_sleep.sleep_state = 3;
    if (is_streak()) expect_eq(platform_op(XENPF_enter_acpi_sleep, op), -XEN_EOPNOTSUPP, "to keep memory alone");
}

void check_firmware() {
    xen_platform_op_t op = {};
    op.u.firmware_info.type = XEN_FW_KBD_SHIFT_FLAGS;
    expect_eq(platform_op(XENPF_firmware_info, op), 0, "XEN_FW_KBD_SHIFT_FLAGS");
    // The machine has a BIOS.
    for (const u32 index : {XEN_FW_EFI_VERSION, XEN_FW_EFI_CONFIG_TABLE, XEN_FW_EFI_VENDOR, XEN_FW_EFI_MEM_INFO,
                            XEN_FW_EFI_RT_VERSION, XEN_FW_EFI_PCI_ROM, XEN_FW_EFI_APPLE_PROPERTIES}) {
        op.u.firmware_info.type = XEN_FW_EFI_INFO;
        op.u.firmware_info.index = index;
        expect_error(platform_op(XENPF_firmware_info, op), "no EFI");
    }
    op = {};
    static char name[128];
    op.u.symdata.namelen = sizeof name;
    set_xen_guest_handle(op.u.symdata.name, name);
    expect_eq(platform_op(XENPF_get_symbol, op), 0, "XENPF_get_symbol");
    expect(op.u.symdata.symnum == 1 && name[0] != 0 && op.u.symdata.address >= HYPERVISOR_VIRT_START, "the first one");
    op.u.symdata.symnum = ~0u;
    expect_eq(platform_op(XENPF_get_symbol, op), -XEN_ERANGE, "one beyond the last");
}

long machine_check(u32 command, xen_mc_t& op) {
    op.cmd = command;
    op.interface_version = XEN_MCA_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_mca, &op);
}

void check_machine_checks() {
    xen_mc_t op = {};
    expect_eq(machine_check(XEN_MC_physcpuinfo, op), 0, "XEN_MC_physcpuinfo");
    expect_eq(op.u.mc_physcpuinfo.ncpus, 1, "one processor");
    op = {};
    static mc_info_t info;
    set_xen_guest_handle(op.u.mc_fetch.data, &info);
    op.u.mc_fetch.flags = XEN_MC_NONURGENT;
    expect_eq(machine_check(XEN_MC_fetch, op), 0, "XEN_MC_fetch");
    expect_eq(op.u.mc_fetch.flags, XEN_MC_NODATA, "nothing has happened");
}

void check_memory_and_topology() {
    xen_sysctl_t op = {};
    require_eq(sysctl(XEN_SYSCTL_physinfo, op), 0, "XEN_SYSCTL_physinfo");
    const u64 total = op.u.physinfo.total_pages, free = op.u.physinfo.free_pages;
    op = {};
    op.u.availheap.max_bitwidth = 0;
    op.u.availheap.node = -1;
    expect_eq(sysctl(XEN_SYSCTL_availheap, op), 0, "XEN_SYSCTL_availheap");
    expect(op.u.availheap.avail_bytes / page_size <= free + 64, "tells of no more than is free");
    op = {};
    expect_eq(sysctl(XEN_SYSCTL_cputopoinfo, op), 0, "XEN_SYSCTL_cputopoinfo");
    expect_eq(op.u.cputopoinfo.num_cpus, 1, "one processor");
    op = {};
    expect_eq(sysctl(XEN_SYSCTL_numainfo, op), 0, "XEN_SYSCTL_numainfo");
    expect_eq(op.u.numainfo.num_nodes, 1, "one node");
    xen_sysctl_meminfo_t memory = {};
    u32 distance = 0;
    set_xen_guest_handle(op.u.numainfo.meminfo, &memory);
    set_xen_guest_handle(op.u.numainfo.distance, &distance);
    expect_eq(sysctl(XEN_SYSCTL_numainfo, op), 0, "what it has");
    expect(memory.memfree <= memory.memsize && memory.memfree / page_size <= total && distance == 10, "some memory");
}

void check_pools() {
    xen_sysctl_t op = {};
    expect_eq(sysctl(XEN_SYSCTL_sched_id, op), 0, "XEN_SYSCTL_sched_id");
    const u32 scheduler = op.u.sched_id.sched_id;
    expect_eq(scheduler, XEN_SCHEDULER_CREDIT2, "credit2 and its parameters");
    u8 cpus[8] = {};
    const auto pool = [&](u32 command, u32 id) {
        op = {};
        op.u.cpupool_op.op = command;
        op.u.cpupool_op.cpupool_id = id;
        set_xen_guest_handle(op.u.cpupool_op.cpumap.bitmap, cpus);
        op.u.cpupool_op.cpumap.nr_bits = 64;
        return sysctl(XEN_SYSCTL_cpupool_op, op);
    };
    expect_eq(pool(XEN_SYSCTL_CPUPOOL_OP_INFO, 0), 0, "XEN_SYSCTL_CPUPOOL_OP_INFO");
    expect(op.u.cpupool_op.n_dom == 1 && op.u.cpupool_op.sched_id == scheduler && cpus[0] == 1, "all is in pool 0");
    cpus[0] = 0xff;
    expect_eq(pool(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0), 0, "XEN_SYSCTL_CPUPOOL_OP_FREEINFO");
    expect_eq(cpus[0], 0, "no processor is in none");
    op = {};
    op.u.scheduler_op.sched_id = scheduler;
    op.u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    expect_eq(sysctl(XEN_SYSCTL_scheduler_op, op), 0, "XEN_SYSCTL_SCHEDOP_getinfo");
}

void check_features() {
    xen_sysctl_t op = {};
    expect_eq(sysctl(XEN_SYSCTL_get_cpu_levelling_caps, op), 0, "XEN_SYSCTL_get_cpu_levelling_caps");
    static u32 sets[6][32];
    constexpr u32 indices[] = {XEN_SYSCTL_cpu_featureset_raw, XEN_SYSCTL_cpu_featureset_host,
                               XEN_SYSCTL_cpu_featureset_pv,  XEN_SYSCTL_cpu_featureset_pv_max,
                               XEN_SYSCTL_cpu_featureset_hvm, XEN_SYSCTL_cpu_featureset_hvm_max};
    for (unsigned i = 0; i < std::size(indices); ++i) {
        op.u.cpu_featureset.index = indices[i];
        op.u.cpu_featureset.nr_features = std::size(sets[i]);
        set_xen_guest_handle(op.u.cpu_featureset.features, sets[i]);
        const long result = sysctl(XEN_SYSCTL_get_cpu_featureset, op);
        expect(result == 0 || (i > 3 && result == -XEN_EOPNOTSUPP), "XEN_SYSCTL_get_cpu_featureset");
    }
    expect((sets[1][0] & ~sets[0][0]) == 0 && sets[1][0] != 0, "the host has no more than the processor");
    expect((sets[2][0] & ~sets[3][0]) == 0 && sets[2][0] != 0, "guests have by default no more than they may");
    op.u.cpu_featureset.index = 9;
    expect_eq(sysctl(XEN_SYSCTL_get_cpu_featureset, op), -XEN_EINVAL, "an unknown set");
}

void check_policies() {
    static xen_cpuid_leaf_t leaves[200];
    for (const u32 index : {XEN_SYSCTL_cpu_policy_raw, XEN_SYSCTL_cpu_policy_host, XEN_SYSCTL_cpu_policy_pv_max,
                            XEN_SYSCTL_cpu_policy_pv_default}) {
        xen_sysctl_t op = {};
        op.u.cpu_policy.index = index;
        expect_eq(sysctl(XEN_SYSCTL_get_cpu_policy, op), 0, "how large a policy is");
        const u32 room = op.u.cpu_policy.nr_leaves;
        expect(room > 4 && room <= std::size(leaves), "some leaves");
        set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
        expect_eq(sysctl(XEN_SYSCTL_get_cpu_policy, op), 0, "XEN_SYSCTL_get_cpu_policy");
        expect(op.u.cpu_policy.nr_leaves <= room && leaves[0].leaf == 0 && leaves[0].b != 0, "begins with the maker");
    }
    xen_sysctl_t op = {};
    op.u.cpu_policy._rsvd = 1;
    expect_eq(sysctl(XEN_SYSCTL_get_cpu_policy, op), -XEN_EINVAL, "with padding");
    op.u.cpu_policy = {};
    op.u.cpu_policy.index = XEN_SYSCTL_cpu_policy_hvm_default + 1;
    expect_eq(sysctl(XEN_SYSCTL_get_cpu_policy, op), -XEN_EINVAL, "an unknown policy");
}

} // namespace

GUEST("machine") {
    check_clock();
    check_processors();
    check_power();
    check_firmware();
    check_machine_checks();
    check_memory_and_topology();
    check_pools();
    check_features();
    check_policies();
}
