// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/dispatch.hpp"
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

namespace {

Return no_such_call() { return fail(Errno::ENOSYS); }

constexpr std::array<Row, table_size> make_rows() {
    std::array<Row, table_size> t{};
    t.fill(entry<&no_such_call>);
    t[__HYPERVISOR_set_trap_table] = entry<&set_trap_table>;
    t[__HYPERVISOR_mmu_update] = entry<&mmu_update>;
    t[__HYPERVISOR_set_gdt] = entry<&set_gdt>;
    t[__HYPERVISOR_stack_switch] = entry<&stack_switch>;
    t[__HYPERVISOR_set_callbacks] = entry<&set_callbacks>;
    t[__HYPERVISOR_fpu_taskswitch] = entry<&fpu_taskswitch>;
    t[__HYPERVISOR_sched_op_compat] = entry<&sched_op_compat>;
    t[__HYPERVISOR_platform_op] = entry<&platform_op>;
    t[__HYPERVISOR_set_debugreg] = entry<&set_debugreg>;
    t[__HYPERVISOR_get_debugreg] = entry<&get_debugreg>;
    t[__HYPERVISOR_update_descriptor] = entry<&update_descriptor>;
    t[__HYPERVISOR_memory_op] = entry<&memory_op>;
    t[__HYPERVISOR_multicall] = entry<&multicall>;
    t[__HYPERVISOR_update_va_mapping] = entry<&update_va_mapping>;
    t[__HYPERVISOR_set_timer_op] = entry<&set_timer_op>;
    t[__HYPERVISOR_event_channel_op_compat] = entry<&event_channel_op_compat>;
    t[__HYPERVISOR_xen_version] = entry<&xen_version>;
    t[__HYPERVISOR_console_io] = entry<&console_io>;
    t[__HYPERVISOR_physdev_op_compat] = entry<&physdev_op_compat>;
    t[__HYPERVISOR_grant_table_op] = entry<&grant_table_op>;
    t[__HYPERVISOR_vm_assist] = entry<&vm_assist>;
    t[__HYPERVISOR_update_va_mapping_otherdomain] = entry<&update_va_mapping_otherdomain>;
    t[__HYPERVISOR_iret] = entry<&iret>;
    t[__HYPERVISOR_vcpu_op] = entry<&vcpu_op>;
    t[__HYPERVISOR_set_segment_base] = entry<&set_segment_base>;
    t[__HYPERVISOR_mmuext_op] = entry<&mmuext_op>;
    t[__HYPERVISOR_nmi_op] = entry<&nmi_op>;
    t[__HYPERVISOR_sched_op] = entry<&sched_op>;
    t[__HYPERVISOR_callback_op] = entry<&callback_op>;
    t[__HYPERVISOR_event_channel_op] = entry<&event_channel_op>;
    t[__HYPERVISOR_physdev_op] = entry<&physdev_op>;
    t[__HYPERVISOR_xenpmu_op] = entry<&xenpmu_op>;
    t[__HYPERVISOR_sysctl] = entry<&sysctl>;
    t[__HYPERVISOR_domctl] = entry<&domctl>;
    t[__HYPERVISOR_mca] = entry<&machine_check_op>;
    return t;
}

template <auto Column, std::size_t... I> constexpr auto column(std::index_sequence<I...>) {
    return std::array{make_rows()[I].*Column...};
}

} // namespace

constinit const Table table = column<&Row::first>(std::make_index_sequence<table_size>{});
constinit const std::array<u8, table_size> argument_counts =
    column<&Row::second>(std::make_index_sequence<table_size>{});
constinit const Table* table_in_use = &table;

} // namespace streak::hypercall
