// SPDX-License-Identifier: GPL-2.0-only
#include "arch/msi.hpp"

#include <array>

#include "lib/spinlock.hpp"
#include "mm/host_page_table.hpp"
#include "mm/page.hpp"

namespace streak::msi {

namespace {

using pci::Address;

// MSI capability (6.8.1)
constexpr unsigned msi_control = 2, msi_address = 4, msi_address_high = 8;
constexpr u16 msi_enable = 1u << 0, msi_64bit = 1u << 7, msi_maskable = 1u << 8;
constexpr unsigned msi_capable_shift = 1, msi_chosen_shift = 4;
constexpr u16 msi_count_mask = 7;

// MSI-X capability (6.8.2)
constexpr unsigned msix_control = 2, msix_table = 4;
constexpr u16 msix_enable = 1u << 15, msix_size_mask = 0x7ff;
constexpr unsigned entry_words = 4, entry_bytes = 16;
constexpr u32 vector_masked = 1;
enum EntryWord { entry_address, entry_address_high, entry_data, entry_control };

[[nodiscard]] u16 control_of(const Source& s) { return pci::read16(s.device, s.capability + msi_control); }

[[nodiscard]] unsigned msi_data_offset(u16 control) { return control & msi_64bit ? 12 : 8; }
[[nodiscard]] unsigned msi_mask_offset(u16 control) { return control & msi_64bit ? 16 : 12; }

/// The memory address of a BAR; EINVAL for I/O or unset ones.
[[nodiscard]] Result<Maddr> bar_address(Address device, unsigned index) {
    if (index > 5) return fail(Errno::EINVAL);
    const unsigned reg = 0x10 + index * 4;
    const u32 low = pci::read32(device, reg);
    constexpr u32 is_io = 1, is_64bit = 4, type_mask = 6;
    if (low & is_io) return fail(Errno::EINVAL);
    u64 address = low & ~0xfull;
    if ((low & type_mask) == is_64bit) {
        if (index == 5) return fail(Errno::EINVAL);
        address |= u64(pci::read32(device, reg + 4)) << 32;
    }
    if (address == 0) return fail(Errno::EINVAL);
    return Maddr(address);
}

/// Tables that were mapped: a mapping is for good, so each is made once.
struct MappedTable {
    u64 address = 0;
    u32 entries = 0;
    volatile u32* words = nullptr;
};
constinit std::array<MappedTable, 128> mapped_tables{};
constinit SpinLock mapped_lock;

[[nodiscard]] Result<volatile u32*> map_table(Maddr address, u32 entries) {
    // A BAR that leads into RAM would make table writes a way to write there.
    if (mm::is_ram(to_mfn(address)) || mm::is_ram(to_mfn(Maddr(address.raw() + u64(entries) * entry_bytes - 1))))
        return fail(Errno::EINVAL);
    LockGuard guard(mapped_lock);
    for (MappedTable& t : mapped_tables) {
        if (t.address == address.raw() && t.entries >= entries) return t.words;
        if (t.address != 0) continue;
        void* words = mm::map_mmio(address, u64(entries) * entry_bytes);
        if (!words) return fail(Errno::ENOMEM);
        t = {address.raw(), entries, static_cast<volatile u32*>(words)};
        return t.words;
    }
    return fail(Errno::ENOSPC);
}

void enable_msi(const Source& s, const irq::MsiMessage& message, unsigned log2_messages) {
    u16 control = control_of(s);
    // A device must not see half a message.
    pci::write16(s.device, s.capability + msi_control, control & static_cast<u16>(~msi_enable));
    pci::write32(s.device, s.capability + msi_address, static_cast<u32>(message.address));
    if (control & msi_64bit)
        pci::write32(s.device, s.capability + msi_address_high, static_cast<u32>(message.address >> 32));
    pci::write16(s.device, s.capability + msi_data_offset(control), static_cast<u16>(message.data));
    control = static_cast<u16>((control & ~(msi_count_mask << msi_chosen_shift)) | log2_messages << msi_chosen_shift |
                               msi_enable);
    pci::write16(s.device, s.capability + msi_control, control);
}

void enable_msix(const Source& s, const irq::MsiMessage& message) {
    const u32 control = s.table[entry_control];
    s.table[entry_control] = control | vector_masked;
    s.table[entry_address] = static_cast<u32>(message.address);
    s.table[entry_address_high] = static_cast<u32>(message.address >> 32);
    s.table[entry_data] = message.data;
    s.table[entry_control] = control;
    const u16 capability = control_of(s);
    if (!(capability & msix_enable)) pci::write16(s.device, s.capability + msix_control, capability | msix_enable);
}

} // namespace

Result<Source> find_msi(Address device, unsigned messages) {
    const unsigned capability = pci::find_capability(device, pci::capability_msi);
    if (capability == 0) return fail(Errno::ENODEV);
    const u16 control = pci::read16(device, capability + msi_control);
    if (messages > (1u << ((control >> msi_capable_shift) & msi_count_mask))) return fail(Errno::EINVAL);
    return Source{.device = device, .capability = static_cast<u16>(capability)};
}

Result<Source> find_msix(Address device, unsigned entry) {
    const unsigned capability = pci::find_capability(device, pci::capability_msix);
    if (capability == 0) return fail(Errno::ENODEV);
    const u32 entries = (pci::read16(device, capability + msix_control) & msix_size_mask) + 1u;
    if (entry >= entries || !(pci::read16(device, pci::reg_command) & pci::command_memory)) return fail(Errno::EINVAL);
    const u32 place = pci::read32(device, capability + msix_table);
    TRY_ASSIGN(bar, bar_address(device, place & 7));
    TRY_ASSIGN(words, map_table(Maddr(bar.raw() + (place & ~7u)), entries));
    Source source{.device = device, .capability = static_cast<u16>(capability), .entry = static_cast<u16>(entry)};
    source.table = words + entry * entry_words;
    source.table[entry_control] = source.table[entry_control] | vector_masked;
    return source;
}

void enable(const Source& s, const irq::MsiMessage& message, unsigned log2_messages) {
    if (s.table) enable_msix(s, message);
    else enable_msi(s, message, log2_messages);
}

void disable(const Source& s) {
    set_mask(s, true);
    if (!s.table) pci::write16(s.device, s.capability + msi_control, control_of(s) & static_cast<u16>(~msi_enable));
}

void set_mask(const Source& s, bool masked) {
    if (s.table) {
        const u32 control = s.table[entry_control];
        s.table[entry_control] = masked ? control | vector_masked : control & ~vector_masked;
        (void)s.table[entry_control]; // the write has reached the device once a read returns
        return;
    }
    const u16 control = control_of(s);
    if (!(control & msi_maskable)) return;
    const unsigned reg = s.capability + msi_mask_offset(control);
    const u32 count = 1u << ((control >> msi_chosen_shift) & msi_count_mask);
    const u32 all = count >= 32 ? ~0u : (1u << count) - 1;
    const u32 bits = pci::read32(s.device, reg);
    pci::write32(s.device, reg, masked ? bits | all : bits & ~all);
}

} // namespace streak::msi
