// SPDX-License-Identifier: GPL-2.0-only
#include "debug/trace_text.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/error.hpp"
#include "lib/abi.hpp"

namespace streak::debug {
namespace {

/// The names of numbers from 0 on, separated by spaces; "-" is none.
std::string_view nth(std::string_view names, std::uint64_t number) {
    for (; number != 0 && !names.empty(); --number)
        names.remove_prefix(std::min(names.find(' '), names.size() - 1) + 1);
    const auto name = names.substr(0, names.find(' '));
    return name == "-" ? std::string_view{} : name;
}

constexpr std::string_view calls =
    "set_trap_table mmu_update set_gdt stack_switch set_callbacks fpu_taskswitch sched_op_compat platform_op "
    "set_debugreg "
    "get_debugreg update_descriptor - memory_op multicall update_va_mapping set_timer_op event_channel_op_compat "
    "xen_version console_io physdev_op_compat grant_table_op vm_assist update_va_mapping_otherdomain iret vcpu_op "
    "set_segment_base mmuext_op xsm_op nmi_op sched_op callback_op xenoprof_op event_channel_op physdev_op hvm_op "
    "sysctl "
    "domctl kexec_op tmem_op argo_op xenpmu_op dm_op hypfs_op - - - - - mca";
static_assert(__HYPERVISOR_xen_version == 17 && __HYPERVISOR_sched_op == 29 && __HYPERVISOR_mca == 48);

constexpr std::string_view traps =
    "#DE #DB NMI #BP #OF #BR #UD #NM #DF - #TS #NP #SS #GP #PF - #MF #AC #MC #XM #VE #CP";

/// What the first argument of a call chooses; "" for those without.
std::string_view operations(std::uint32_t call) {
    switch (call) {
    case __HYPERVISOR_event_channel_op:
        return "bind_interdomain bind_virq bind_pirq close send status alloc_unbound bind_ipi bind_vcpu unmask reset "
               "init_control expand_array set_priority";
    case __HYPERVISOR_sched_op: return "yield block shutdown poll remote_shutdown shutdown_code watchdog pin_override";
    case __HYPERVISOR_sched_op_compat: return "yield block shutdown";
    case __HYPERVISOR_vcpu_op:
        return "initialise up down is_up get_runstate_info register_runstate_memory_area set_periodic_timer "
               "stop_periodic_timer set_singleshot_timer stop_singleshot_timer register_vcpu_info send_nmi "
               "get_physid register_vcpu_time_memory_area";
    case __HYPERVISOR_grant_table_op:
        return "map_grant_ref unmap_grant_ref setup_table dump_table transfer copy query_size unmap_and_replace "
               "set_version "
               "get_status_frames get_version swap_grant_ref cache_flush";
    case __HYPERVISOR_memory_op:
        return "increase_reservation decrease_reservation maximum_ram_page current_reservation maximum_reservation "
               "machphys_mfn_list populate_physmap add_to_physmap - memory_map machine_memory_map exchange "
               "machphys_mapping set_memory_map maximum_gpfn remove_from_physmap set_pod_target get_pod_target "
               "get_sharing_freed_pages get_sharing_shared_pages paging_op access_op sharing_op add_to_physmap_batch "
               "claim_pages machphys_compat_mfn_list get_vnumainfo reserved_device_memory_map acquire_resource";
    case __HYPERVISOR_physdev_op:
        return "- - - - - irq_status_query set_iopl set_iobitmap apic_read apic_write alloc_irq_vector free_irq_vector "
               "eoi map_pirq unmap_pirq manage_pci_add manage_pci_remove pirq_eoi_gmfn_v1 - restore_msi "
               "manage_pci_add_ext setup_gsi - get_free_pirq pci_mmcfg_reserved pci_device_add pci_device_remove "
               "restore_msi_ext pirq_eoi_gmfn_v2 dbgp_op prepare_msix release_msix";
    case __HYPERVISOR_xen_version:
        return "version extraversion compile_info capabilities changeset platform_parameters get_features pagesize "
               "guest_handle commandline build_id";
    case __HYPERVISOR_console_io: return "write read";
    case __HYPERVISOR_callback_op: return "register unregister";
    case __HYPERVISOR_set_segment_base: return "fs gs_user gs_kernel gs_user_sel";
    case __HYPERVISOR_vm_assist: return "enable disable";
    default: return "";
    }
}

} // namespace

std::string number_text(std::uint64_t number) {
    if (number < 10) return std::to_string(number);
    char digits[16];
    return "0x" + std::string(digits, std::to_chars(digits, std::end(digits), number, 16).ptr);
}

std::string call_name(std::uint32_t number) {
    const auto name = nth(calls, number);
    return name.empty() ? "hypercall " + std::to_string(number) : std::string(name);
}

std::string call_text(std::uint32_t number, std::span<const std::uint64_t> arguments) {
    std::string text = call_name(number) + "(";
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const auto operation = i == 0 ? nth(operations(number), arguments[0]) : std::string_view{};
        text += (i == 0 ? "" : ", ") + (operation.empty() ? number_text(arguments[i]) : std::string(operation));
    }
    return text + ")";
}

std::string trap_name(std::uint32_t vector) {
    const auto name = nth(traps, vector);
    return name.empty() ? "vector " + std::to_string(vector) : std::string(name);
}

std::string result_text(std::uint64_t result) {
    constexpr std::uint64_t most_errors = 4095;
    const std::uint64_t code = -result;
    if (code == 0 || code > most_errors) return number_text(result);
    if (static_cast<Errno>(code) == Errno::ERESTART) return "goes on";
    return "-" + std::to_string(code) + " (" + base::name_of(static_cast<Errno>(code)) + ")";
}

} // namespace streak::debug
