// SPDX-License-Identifier: GPL-2.0-only

#include "arch/ioapic.hpp"
#include "domain/pirq.hpp"
#include "hypercall/handlers.hpp"

// PHYSDEVOP_* of xen/physdev.h: interrupt lines, MSIs, PCI devices as dom0 finds them, and I/O privilege.

namespace streak::hypercall {

namespace {

using xsm::Hook;

Result<> eoi(const physdev_eoi_t& op) {
    TRY(may(Hook::physdev_op, caller()));
    return pirqs::eoi(caller(), Pirq(op.irq));
}

template <bool auto_unmask> Result<> share_eoi_map(const physdev_pirq_eoi_gmfn_t& op) {
    TRY(may(Hook::physdev_op, caller()));
    return pirqs::set_eoi_map(caller(), Mfn(op.gmfn), auto_unmask);
}

Result<> query_status(physdev_irq_status_query_t& op) {
    TRY(may(Hook::physdev_op, caller()));
    LockGuard guard(caller().event_lock);
    TRY_ASSIGN(flags, pirqs::status(caller(), Pirq(op.irq)));
    op.flags = flags;
    return {};
}

Result<> set_iopl(const physdev_set_iopl_t& op) {
    TRY(may(Hook::physdev_iopl, caller()));
    if (op.iopl > 3) return fail(Errno::EINVAL);
    current().pv.iopl = static_cast<u8>(op.iopl);
    return {};
}

Result<> set_iobitmap(const physdev_set_iobitmap_t& op) {
    TRY(may(Hook::physdev_iopl, caller()));
    const u64 bitmap = GUEST_HANDLE(op.bitmap).address().raw();
    if (op.nr_ports > 0x10000 || !arch::guest_range_ok(bitmap, (op.nr_ports + 7) / 8)) return fail(Errno::EINVAL);
    current().pv.iobitmap = bitmap;
    current().pv.iobitmap_ports = op.nr_ports;
    return {};
}

Result<> read_ioapic(physdev_apic_t& op) {
    TRY(may(Hook::physdev_setup, caller()));
    if (op.reg > 0xff) return fail(Errno::EINVAL);
    TRY_ASSIGN(value, ioapic::read_register(Maddr(op.apic_physbase), static_cast<u8>(op.reg)));
    op.value = value;
    return {};
}

/// A guest never sees vectors: any number will do, and it is the line's own.
Result<> alloc_irq_vector(physdev_irq_t& op) {
    TRY(may(Hook::physdev_setup, caller()));
    if (op.irq >= irq::gsi_count()) return fail(Errno::EINVAL);
    op.vector = op.irq;
    return {};
}

[[nodiscard]] pci::Address pci_address(u32 bus, u32 devfn) {
    return {.bus = static_cast<u8>(bus), .devfn = static_cast<u8>(devfn)};
}

/// Only segment 0 has a configuration mechanism here.
[[nodiscard]] Result<pirqs::MsiRequest> msi_request(const physdev_map_pirq_t& op) {
    const u32 bus = static_cast<u32>(op.bus);
    const u32 segment = op.type == MAP_PIRQ_TYPE_MSI ? 0 : bus >> 16;
    if (segment != 0 || op.devfn < 0 || op.devfn > 0xff || (op.type == MAP_PIRQ_TYPE_MSI && bus > 0xff))
        return fail(Errno::ENODEV);
    pirqs::MsiRequest request{.device = pci_address(bus, static_cast<u32>(op.devfn))};
    if (op.type == MAP_PIRQ_TYPE_MULTI_MSI) {
        if (op.table_base != 0 || op.entry_nr < 1 || op.entry_nr > 32) return fail(Errno::EINVAL);
        request.count = std::bit_ceil(static_cast<u32>(op.entry_nr));
        return request;
    }
    request.msix = op.table_base != 0;
    request.entry = request.msix ? static_cast<u32>(op.entry_nr) : 0;
    return request;
}

/// Without privileges: a line that the domain was permitted.
[[nodiscard]] Result<Pirq> map_by_type(Domain& domain, const physdev_map_pirq_t& op) {
    if (caller().privileged) TRY(pirqs::create(domain));
    else if (op.type != MAP_PIRQ_TYPE_GSI || !pirqs::permitted(domain, Pirq(static_cast<u32>(op.index))))
        return fail(Errno::EPERM);
    switch (op.type) {
    case MAP_PIRQ_TYPE_GSI:
        if (op.index < 0) return fail(Errno::EINVAL);
        return pirqs::map_gsi(domain, static_cast<u32>(op.index), op.pirq);
    case MAP_PIRQ_TYPE_MSI:
        if (op.index >= 0) // an interrupt the guest got before: there is no such interface any more
            return fail(Errno::EINVAL);
        [[fallthrough]];
    case MAP_PIRQ_TYPE_MSI_SEG:
    case MAP_PIRQ_TYPE_MULTI_MSI: {
        TRY_ASSIGN(request, msi_request(op));
        return pirqs::map_msi(domain, request, op.pirq);
    }
    default: return fail(Errno::EINVAL);
    }
}

Return map_pirq(RawHandle arg) {
    TRY_ASSIGN(op, arg.as<physdev_map_pirq_t>().read());
    TRY_ASSIGN(domain, find_domain(DomId(op.domid)));
    TRY(may(Hook::physdev_pirq_map, *domain));
    {
        LockGuard guard(domain->event_lock);
        TRY_ASSIGN(pirq, map_by_type(*domain, op));
        op.pirq = static_cast<int>(pirq.raw());
    }
    if (auto written = arg.as<physdev_map_pirq_t>().write(op); !written) {
        LockGuard guard(domain->event_lock);
        (void)pirqs::unmap(*domain, Pirq(static_cast<u32>(op.pirq)));
        return fail(written.error());
    }
    return 0;
}

Result<> unmap_pirq(const physdev_unmap_pirq_t& op) {
    TRY_ASSIGN(domain, find_domain(DomId(op.domid)));
    TRY(may(Hook::physdev_pirq_map, *domain));
    if (op.pirq < 0) return fail(Errno::EINVAL);
    LockGuard guard(domain->event_lock);
    return pirqs::unmap(*domain, Pirq(static_cast<u32>(op.pirq)));
}

Result<> get_free_pirq(physdev_get_free_pirq_t& op) {
    TRY(may(Hook::physdev_op, caller()));
    if (op.type != MAP_PIRQ_TYPE_GSI && op.type != MAP_PIRQ_TYPE_MSI) return fail(Errno::EINVAL);
    LockGuard guard(caller().event_lock);
    TRY_ASSIGN(pirq, pirqs::free_number(caller(), op.type == MAP_PIRQ_TYPE_MSI));
    op.pirq = pirq.raw();
    return {};
}

Result<> setup_gsi(const physdev_setup_gsi_t& op) {
    TRY(may(Hook::physdev_setup, caller()));
    if (op.gsi < 0 || static_cast<u32>(op.gsi) >= irq::gsi_count()) return fail(Errno::EINVAL);
    const auto set = irq::set_gsi_mode(static_cast<u32>(op.gsi), op.triggering != 0, op.polarity != 0);
    if (!set) // the incumbent's word for a line in use
        return fail(set.error() == Errno::EBUSY ? Errno::EEXIST : set.error());
    return {};
}

/// dom0 tells of a PCI function or the like; nothing is kept about it (there is no IOMMU to set up).
template <class T> Return note_device(RawHandle arg) {
    TRY(may(Hook::physdev_setup, caller()));
    return answer(arg.as<T>().read());
}

/// physdev_pci_device_add_t ends in an optional array that need not be readable.
using AddedDevice = std::array<u8, offsetof(physdev_pci_device_add_t, optarr)>;

Result<> restore_device_msi(u32 segment, u32 bus, u32 devfn) {
    TRY(may(Hook::physdev_setup, caller()));
    if (segment != 0) return fail(Errno::ENODEV);
    return pirqs::restore_msi(caller(), pci_address(bus, devfn));
}

Result<> restore_msi(const physdev_restore_msi_t& op) { return restore_device_msi(0, op.bus, op.devfn); }

Result<> restore_msi_ext(const physdev_pci_device_t& op) { return restore_device_msi(op.seg, op.bus, op.devfn); }

/// A device with MSI-X is to be lent to, or comes back from, another domain: nothing to prepare without one.
Result<> check_msix_device(const physdev_pci_device_t& op) {
    TRY(may(Hook::physdev_setup, caller()));
    if (op.seg != 0 || pci::find_capability(pci_address(op.bus, op.devfn), pci::capability_msix) == 0)
        return fail(Errno::ENODEV);
    return {};
}

/// The EHCI debug port: none is in use, so a reset of it needs no care.
Result<> debug_port(const physdev_dbgp_op_t& op) {
    TRY(may(Hook::physdev_setup, caller()));
    return fail(op.op == PHYSDEVOP_DBGP_RESET_PREPARE || op.op == PHYSDEVOP_DBGP_RESET_DONE ? Errno::ENODEV
                                                                                            : Errno::ENOSYS);
}

} // namespace

Return physdev_op(i32 cmd, RawHandle arg) {
    switch (cmd) {
    case PHYSDEVOP_eoi: return on_copy(arg, eoi);
    case PHYSDEVOP_pirq_eoi_gmfn_v1: return on_copy(arg, share_eoi_map<true>);
    case PHYSDEVOP_pirq_eoi_gmfn_v2: return on_copy(arg, share_eoi_map<false>);
    case PHYSDEVOP_IRQ_UNMASK_NOTIFY: return 0; // replaced by PHYSDEVOP_eoi
    case PHYSDEVOP_irq_status_query: return on_copy(arg, query_status);
    case PHYSDEVOP_set_iopl: return on_copy(arg, set_iopl);
    case PHYSDEVOP_set_iobitmap: return on_copy(arg, set_iobitmap);
    case PHYSDEVOP_apic_read: return on_copy(arg, read_ioapic);
    case PHYSDEVOP_apic_write: return fail(Errno::EPERM); // PHYSDEVOP_setup_gsi sets lines up
    case PHYSDEVOP_alloc_irq_vector: return on_copy(arg, alloc_irq_vector);
    case PHYSDEVOP_free_irq_vector: return note_device<physdev_irq_t>(arg); // nothing was allocated
    case PHYSDEVOP_map_pirq: return map_pirq(arg);
    case PHYSDEVOP_unmap_pirq: return on_copy(arg, unmap_pirq);
    case PHYSDEVOP_get_free_pirq: return on_copy(arg, get_free_pirq);
    case PHYSDEVOP_setup_gsi: return on_copy(arg, setup_gsi);
    case PHYSDEVOP_manage_pci_add:
    case PHYSDEVOP_manage_pci_remove: return note_device<physdev_manage_pci_t>(arg);
    case PHYSDEVOP_manage_pci_add_ext: return note_device<physdev_manage_pci_ext_t>(arg);
    case PHYSDEVOP_pci_device_add: return note_device<AddedDevice>(arg);
    case PHYSDEVOP_pci_device_remove: return note_device<physdev_pci_device_t>(arg);
    case PHYSDEVOP_pci_mmcfg_reserved: return note_device<physdev_pci_mmcfg_reserved_t>(arg);
    case PHYSDEVOP_restore_msi: return on_copy(arg, restore_msi);
    case PHYSDEVOP_restore_msi_ext: return on_copy(arg, restore_msi_ext);
    case PHYSDEVOP_prepare_msix:
    case PHYSDEVOP_release_msix: return on_copy(arg, check_msix_device);
    case PHYSDEVOP_dbgp_op: return on_copy(arg, debug_port);
    default: return fail(Errno::ENOSYS);
    }
}

/// The form before interface 0x00030202: command and argument in one structure.
Return physdev_op_compat(RawHandle op) {
    TRY_ASSIGN(cmd, op.as<u32>().read());
    const RawHandle arg(op.address().raw() + offsetof(physdev_op_t, u));
    switch (cmd) {
    case PHYSDEVOP_IRQ_UNMASK_NOTIFY:
    case PHYSDEVOP_irq_status_query:
    case PHYSDEVOP_set_iopl:
    case PHYSDEVOP_set_iobitmap:
    case PHYSDEVOP_apic_read:
    case PHYSDEVOP_apic_write:
    case PHYSDEVOP_alloc_irq_vector:
    case PHYSDEVOP_free_irq_vector: return physdev_op(static_cast<i32>(cmd), arg);
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace streak::hypercall
