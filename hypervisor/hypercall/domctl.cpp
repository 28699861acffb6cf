// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/domctl.hpp"

#include "hypercall/handlers.hpp"

namespace streak::hypercall {

namespace {

using xsm::Hook;

struct Operation {
    DomctlHandler* handler = nullptr;
    Hook hook{};
};

[[nodiscard]] Result<> refuse(Domain&, xen_domctl_t&) { return fail(Errno::EOPNOTSUPP); }
[[nodiscard]] Result<> no_device(Domain&, xen_domctl_t&) { return fail(Errno::ENODEV); }

constexpr std::array<Operation, XEN_DOMCTL_set_paging_mempool_size + 1> operations = [] {
    std::array<Operation, XEN_DOMCTL_set_paging_mempool_size + 1> t{};
    t[XEN_DOMCTL_destroydomain] = {domctl_destroy, Hook::domctl_destroy};
    t[XEN_DOMCTL_pausedomain] = {domctl_pause, Hook::domctl_pause};
    t[XEN_DOMCTL_unpausedomain] = {domctl_unpause, Hook::domctl_unpause};
    t[XEN_DOMCTL_getdomaininfo] = {domctl_get_info, Hook::domctl_get_info};
    t[XEN_DOMCTL_setvcpuaffinity] = {domctl_set_affinity, Hook::domctl_set_affinity};
    t[XEN_DOMCTL_getvcpuaffinity] = {domctl_get_affinity, Hook::domctl_get_affinity};
    t[XEN_DOMCTL_setnodeaffinity] = {domctl_set_node_affinity, Hook::domctl_set_affinity};
    t[XEN_DOMCTL_getnodeaffinity] = {domctl_get_node_affinity, Hook::domctl_get_affinity};
    t[XEN_DOMCTL_max_mem] = {domctl_max_mem, Hook::domctl_max_mem};
    t[XEN_DOMCTL_setvcpucontext] = {domctl_set_context, Hook::domctl_set_context};
    t[XEN_DOMCTL_getvcpucontext] = {domctl_get_context, Hook::domctl_get_context};
    t[XEN_DOMCTL_set_ext_vcpucontext] = {domctl_set_ext_context, Hook::domctl_set_context};
    t[XEN_DOMCTL_get_ext_vcpucontext] = {domctl_get_ext_context, Hook::domctl_get_context};
    t[XEN_DOMCTL_setvcpuextstate] = {domctl_set_xstate, Hook::domctl_set_context};
    t[XEN_DOMCTL_getvcpuextstate] = {domctl_get_xstate, Hook::domctl_get_context};
    t[XEN_DOMCTL_set_vcpu_msrs] = {domctl_set_msrs, Hook::domctl_set_context};
    t[XEN_DOMCTL_get_vcpu_msrs] = {domctl_get_msrs, Hook::domctl_get_context};
    t[XEN_DOMCTL_getvcpuinfo] = {domctl_get_vcpu_info, Hook::domctl_get_info};
    t[XEN_DOMCTL_max_vcpus] = {domctl_max_vcpus, Hook::domctl_max_vcpus};
    t[XEN_DOMCTL_scheduler_op] = {domctl_scheduler_op, Hook::domctl_scheduler};
    t[XEN_DOMCTL_setdomainhandle] = {domctl_set_handle, Hook::domctl_set_handle};
    t[XEN_DOMCTL_hypercall_init] = {domctl_hypercall_init, Hook::domctl_hypercall_init};
    t[XEN_DOMCTL_settimeoffset] = {domctl_set_time_offset, Hook::domctl_set_time};
    t[XEN_DOMCTL_settscinfo] = {domctl_set_tsc_info, Hook::domctl_set_time};
    t[XEN_DOMCTL_gettscinfo] = {domctl_get_tsc_info, Hook::domctl_get_info};
    t[XEN_DOMCTL_resumedomain] = {domctl_resume, Hook::domctl_unpause};
    t[XEN_DOMCTL_sendtrigger] = {domctl_send_trigger, Hook::domctl_trigger};
    t[XEN_DOMCTL_set_address_size] = {domctl_set_address_size, Hook::domctl_set_address_size};
    t[XEN_DOMCTL_get_address_size] = {domctl_get_address_size, Hook::domctl_get_info};
    t[XEN_DOMCTL_set_target] = {domctl_set_target, Hook::domctl_set_target};
    t[XEN_DOMCTL_getpageframeinfo3] = {domctl_page_types, Hook::domctl_page_types};
    t[XEN_DOMCTL_set_virq_handler] = {domctl_set_virq_handler, Hook::domctl_set_virq_handler};
    t[XEN_DOMCTL_set_cpu_policy] = {domctl_set_cpu_policy, Hook::domctl_cpu_policy};
    t[XEN_DOMCTL_get_cpu_policy] = {domctl_get_cpu_policy, Hook::domctl_cpu_policy};
    t[XEN_DOMCTL_shadow_op] = {domctl_shadow, Hook::domctl_shadow};
    t[XEN_DOMCTL_ioport_permission] = {domctl_io_ports, Hook::domctl_io_ports};
    t[XEN_DOMCTL_iomem_permission] = {domctl_io_memory, Hook::domctl_io_memory};
    t[XEN_DOMCTL_irq_permission] = {domctl_irq, Hook::domctl_irq};
    // A PV guest maps device memory by its own page tables.
    t[XEN_DOMCTL_memory_mapping] = {refuse, Hook::domctl_io_memory};
    t[XEN_DOMCTL_ioport_mapping] = {refuse, Hook::domctl_io_ports};
    // No IOMMU is driven: a device in a guest's hands could write anywhere.
    t[XEN_DOMCTL_assign_device] = {no_device, Hook::domctl_devices};
    t[XEN_DOMCTL_test_assign_device] = {no_device, Hook::domctl_devices};
    t[XEN_DOMCTL_deassign_device] = {no_device, Hook::domctl_devices};
    t[XEN_DOMCTL_get_device_group] = {no_device, Hook::domctl_devices};
    t[XEN_DOMCTL_setdebugging] = {refuse, Hook::domctl_devices};
    return t;
}();

constinit std::atomic<bool> busy{false};

struct [[nodiscard]] Turn {
    Turn() : mine(!busy.exchange(true)) {}
    ~Turn() {
        if (mine) busy.store(false);
    }
    const bool mine;
};

/// For debuggers; their numbers begin far behind the others.
constexpr std::array<Operation, 4> debugger_operations = {
    Operation{domctl_guest_memory, Hook::domctl_guest_memory}, Operation{domctl_pause_vcpu, Hook::domctl_pause},
    Operation{domctl_unpause_vcpu, Hook::domctl_unpause}, Operation{domctl_debug_status, Hook::domctl_get_info}};
constexpr u32 first_of_debugger = XEN_DOMCTL_gdbsx_guestmemio;
static_assert(XEN_DOMCTL_gdbsx_pausevcpu == first_of_debugger + 1 &&
              XEN_DOMCTL_gdbsx_unpausevcpu == first_of_debugger + 2 &&
              XEN_DOMCTL_gdbsx_domstatus == first_of_debugger + 3);

constexpr Operation find(u32 command) {
    if (command < operations.size()) return operations[command];
    const u32 number = command - first_of_debugger;
    return number < debugger_operations.size() ? debugger_operations[number] : Operation{};
}

[[nodiscard]] Result<> run(xen_domctl_t& op) {
    if (op.cmd == XEN_DOMCTL_createdomain) {
        TRY(may(Hook::domctl_create, caller()));
        return domctl_create(op);
    }
    const Operation operation = find(op.cmd);
    if (!operation.handler) return fail(Errno::ENOSYS);
    auto found = find_domain(DomId(op.domain));
    // Tools enumerate domains: the next one answers for an id that nobody has.
    DomainRef domain = found ? std::move(*found) : DomainRef{};
    if (!domain && op.cmd == XEN_DOMCTL_getdomaininfo) domain = next_domain(DomId(op.domain));
    if (!domain) return fail(Errno::ESRCH);
    TRY(may(operation.hook, *domain));
    return operation.handler(*domain, op);
}

} // namespace

Return domctl(RawHandle arg) {
    const auto handle = arg.as<xen_domctl_t>();
    TRY_ASSIGN(op, handle.read());
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION) return fail(Errno::EACCES);
    const Turn turn;
    if (!turn.mine) return fail(Errno::ERESTART);
    const Result<> done = run(op);
    const Result<> told = handle.write(op); // errors have details, too, and what is to be repeated its progress
    if (!done) return fail(done.error());
    return answer(told);
}

} // namespace streak::hypercall
