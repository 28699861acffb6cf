// SPDX-License-Identifier: GPL-2.0-only
#include "arch/efi.hpp"

#include <cstring>

#include "lib/log.hpp"
#include "mm/host_page_table.hpp"

namespace streak::efi {

namespace {

constexpr u64 signature = 0x5453595320494249; // "IBI SYST"

/// EFI_SYSTEM_TABLE for 64-bit firmware.
struct SystemTable {
    u64 signature;
    u32 revision, header_bytes, crc, reserved;
    u64 vendor;
    u32 firmware_revision, pad;
    u64 console[6];
    u64 runtime_services, boot_services;
    u64 config_entries;
    u64 config_table;
};
static_assert(sizeof(SystemTable) == 120);

constinit std::optional<Info> known;

} // namespace

void note_system_table(Maddr address) {
    SystemTable t;
    std::memcpy(&t, mm::map_firmware(address, sizeof t), sizeof t);
    constexpr u64 most_entries = 4096;
    if (t.signature != signature || t.config_entries > most_entries) {
        log_warning("EFI: no system table at {:#x}", address);
        return;
    }
    known = Info{t.revision, t.firmware_revision, {}, Maddr(t.config_table), static_cast<u32>(t.config_entries)};
    if (t.vendor == 0) return;
    std::memcpy(known->vendor.data(), mm::map_firmware(Maddr(t.vendor), sizeof known->vendor), sizeof known->vendor);
    known->vendor.back() = 0;
}

const std::optional<Info>& info() { return known; }

} // namespace streak::efi
