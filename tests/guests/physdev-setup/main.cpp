// SPDX-License-Identifier: GPL-2.0-only
//
// The story: dom0 finds the machine's devices and tells of them; it asks for lines and messages, and gives them back. Each
// interrupt has one number at a time, a number belongs to what it was asked for, and a device that is not there has none.
// qemu: -device edu,addr=0x1e -device virtio-rng-pci,addr=0x1d

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u8 with_msi = 0x1e << 3, with_msix = 0x1d << 3, nothing = 0x1f << 3;

u32 read_config(u8 devfn, u32 offset) {
    outl(0xcf8, 0x80000000 | u32{devfn} << 8 | offset);
    return inl(0xcfc);
}

long map_message(int type, int bus, u8 devfn, int& pirq, int count = 1) {
    physdev_map_pirq_t op = {};
    op.domid = DOMID_SELF;
    op.type = type;
    op.index = -1;
    op.pirq = -1;
    op.bus = bus;
    op.devfn = devfn;
    op.entry_nr = type == MAP_PIRQ_TYPE_MULTI_MSI ? count : 0;
    const long result = physdev_call(PHYSDEVOP_map_pirq, &op);
    pirq = op.pirq;
    return result;
}

long unmap_pirq(int pirq, domid_t domain = DOMID_SELF) {
    physdev_unmap_pirq_t op = {.domid = domain, .pirq = pirq};
    return physdev_call(PHYSDEVOP_unmap_pirq, &op);
}

long restore(u8 devfn) {
    physdev_restore_msi_t op = {.bus = 0, .devfn = devfn};
    return physdev_call(PHYSDEVOP_restore_msi, &op);
}

long with_device(int command, u8 devfn, u16 segment = 0) {
    physdev_pci_device_t op = {.seg = segment, .bus = 0, .devfn = devfn};
    return physdev_call(command, &op);
}

void check_messages() {
    expect_eq(read_config(with_msi, 0), 0x11e81234, "the machine has a device with MSI");
    for (const int type : {MAP_PIRQ_TYPE_MSI, MAP_PIRQ_TYPE_MSI_SEG, MAP_PIRQ_TYPE_MULTI_MSI}) {
        [[maybe_unused]] int pirq = 0, again = 0;
        require_eq(map_message(type, 0, with_msi, pirq), 0, "its message gets a number");
        if (is_streak()) expect_error(map_message(type, 0, with_msi, again), "one"); // the incumbent gives two
        expect_eq(restore(with_msi), 0, "PHYSDEVOP_restore_msi");
        expect_eq(with_device(PHYSDEVOP_restore_msi_ext, with_msi), 0, "PHYSDEVOP_restore_msi_ext");
        expect_eq(unmap_pirq(pirq), 0, "PHYSDEVOP_unmap_pirq");
        expect_error(unmap_pirq(pirq), "once");
    }
    int pirq = 0;
    expect_error(map_message(MAP_PIRQ_TYPE_MSI_SEG, 0, nothing, pirq), "a message of no device");
    expect_error(map_message(MAP_PIRQ_TYPE_MULTI_MSI, 0, with_msi, pirq, 33), "more messages than there are");
    expect_error(unmap_pirq(-1), "a number that is none");
    expect_eq(with_device(PHYSDEVOP_prepare_msix, with_msix), 0, "PHYSDEVOP_prepare_msix");
    expect_eq(with_device(PHYSDEVOP_release_msix, with_msix), 0, "PHYSDEVOP_release_msix");
}

void check_lines() {
    physdev_get_free_pirq_t free = {.type = MAP_PIRQ_TYPE_MSI, .pirq = 0};
    expect_eq(physdev_call(PHYSDEVOP_get_free_pirq, &free), 0, "PHYSDEVOP_get_free_pirq");
    free.type = MAP_PIRQ_TYPE_UNKNOWN;
    const long unknown = physdev_call(PHYSDEVOP_get_free_pirq, &free);
    expect(unknown == -XEN_EINVAL || unknown == 0, "of an unknown kind");
    physdev_setup_gsi_t line = {.gsi = 20, .triggering = 1, .polarity = 1};
    expect_eq(physdev_call(PHYSDEVOP_setup_gsi, &line), 0, "PHYSDEVOP_setup_gsi");
    line.gsi = 1000;
    expect_eq(physdev_call(PHYSDEVOP_setup_gsi, &line), -XEN_EINVAL, "a line beyond the last");
    physdev_irq_t vector = {.irq = 20, .vector = 0};
    const long freed = physdev_call(PHYSDEVOP_free_irq_vector, &vector);
    expect(freed == 0 || freed == -XEN_ENOSYS, "PHYSDEVOP_free_irq_vector");
    if (freed == 0) expect_eq(physdev_call(PHYSDEVOP_free_irq_vector, nullptr), -XEN_EFAULT, "without a structure");
}

/// The page by which the hypervisor tells which interrupts need an acknowledgement.
void check_acknowledgement_map() {
    physdev_pirq_eoi_gmfn_t op = {.gmfn = 1ull << 40};
    for (const int command : {PHYSDEVOP_pirq_eoi_gmfn_v1, PHYSDEVOP_pirq_eoi_gmfn_v2}) {
        op.gmfn = 1ull << 40;
        expect_error(physdev_call(command, &op), "a page beyond the machine");
        op.gmfn = root_mfn();
        expect_error(physdev_call(command, &op), "a page table");
    }
    op.gmfn = mfn_of(alloc_page());
    expect_eq(physdev_call(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), 0, "PHYSDEVOP_pirq_eoi_gmfn_v2");
    for (const int command : {PHYSDEVOP_pirq_eoi_gmfn_v1, PHYSDEVOP_pirq_eoi_gmfn_v2})
        expect_eq(physdev_call(command, &op), -XEN_EBUSY, "there is one");
}

void check_devices() {
    physdev_manage_pci_t device = {.bus = 0, .devfn = with_msi};
    physdev_manage_pci_ext_t function = {};
    function.devfn = with_msi;
    union {
        physdev_pci_device_add_t op;
        u8 bytes[sizeof(physdev_pci_device_add_t) + sizeof(u32)];
    } added = {};
    added.op.devfn = with_msi;
    physdev_manage_pci_t other = {.bus = 0, .devfn = with_msix};
    expect_eq(physdev_call(PHYSDEVOP_manage_pci_add, &other), 0, "PHYSDEVOP_manage_pci_add");
    expect_eq(physdev_call(PHYSDEVOP_manage_pci_add, &device), 0, "of another device");
    expect_eq(physdev_call(PHYSDEVOP_manage_pci_remove, &device), 0, "PHYSDEVOP_manage_pci_remove");
    expect_eq(physdev_call(PHYSDEVOP_manage_pci_add_ext, &function), 0, "PHYSDEVOP_manage_pci_add_ext");
    expect_eq(with_device(PHYSDEVOP_pci_device_remove, with_msi), 0, "PHYSDEVOP_pci_device_remove");
    expect_eq(physdev_call(PHYSDEVOP_pci_device_add, &added), 0, "PHYSDEVOP_pci_device_add");
    // The incumbent looks for the region among those that the firmware tells of.
    physdev_pci_mmcfg_reserved_t region = {
        .address = 0xb0000000, .segment = 0, .start_bus = 0, .end_bus = 255, .flags = 1};
    const long result = physdev_call(PHYSDEVOP_pci_mmcfg_reserved, &region);
    expect(result == 0 || !is_streak(), "PHYSDEVOP_pci_mmcfg_reserved");
    for (const int command : {PHYSDEVOP_manage_pci_add, PHYSDEVOP_manage_pci_add_ext, PHYSDEVOP_pci_device_add,
                              PHYSDEVOP_pci_mmcfg_reserved})
        expect_eq(physdev_call(command, nullptr), -XEN_EFAULT, "without a structure");
}

} // namespace

GUEST("physdev-setup") {
    physdev_set_iopl_t level = {.iopl = 1};
    require_eq(physdev_call(PHYSDEVOP_set_iopl, &level), 0, "ports for the kernel");
    check_devices();
    check_messages();
    check_lines();
    check_acknowledgement_map();
}
