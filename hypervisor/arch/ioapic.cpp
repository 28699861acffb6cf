// SPDX-License-Identifier: GPL-2.0-only
#include "arch/ioapic.hpp"

#include "lib/log.hpp"
#include "lib/spinlock.hpp"

namespace streak::ioapic {

namespace {

constexpr u32 mask_bit = 1u << 16;
constexpr u32 level_bit = 1u << 15, low_bit = 1u << 13;

struct Chip {
    volatile u32* registers = nullptr;
    Maddr address{};
    u32 gsi_base = 0;
    u32 lines = 0;
};

constinit SpinLock lock;
constinit std::array<Chip, 16> chips{};
constinit u32 chip_count = 0;
constinit u32 highest = 0;

u32 read_raw(const Chip& chip, u32 reg) {
    chip.registers[0] = reg;
    return chip.registers[4];
}

void write_raw(const Chip& chip, u32 reg, u32 value) {
    chip.registers[0] = reg;
    chip.registers[4] = value;
}

const Chip* chip_of(u32 gsi) {
    for (u32 i = 0; i < chip_count; ++i)
        if (gsi - chips[i].gsi_base < chips[i].lines) return &chips[i];
    return nullptr;
}

constexpr u32 low_word(u32 line) { return 0x10 + 2 * line; }

} // namespace

void add(u8 id, Maddr address, volatile u32* registers, u32 gsi_base) {
    if (chip_count == chips.size()) return;
    Chip& chip = chips[chip_count];
    chip = {registers, address, gsi_base, 0};
    chip.lines = ((read_raw(chip, 1) >> 16) & 0xff) + 1;
    ++chip_count;
    highest = std::max(highest, gsi_base + chip.lines);
    for (u32 line = 0; line < chip.lines; ++line) {
        write_raw(chip, low_word(line), mask_bit);
        write_raw(chip, low_word(line) + 1, 0);
    }
    log_info("I/O APIC {} at {:#x}: GSI {}-{}", id, address.raw(), gsi_base, gsi_base + chip.lines - 1);
}

u32 line_count() { return highest; }
bool has_line(u32 gsi) { return chip_of(gsi) != nullptr; }

void write(u32 gsi, const Entry& entry) {
    const Chip* chip = chip_of(gsi);
    if (chip == nullptr) return;
    const u32 line = gsi - chip->gsi_base;
    const u32 low = entry.vector.raw() | (entry.active_low ? low_bit : 0) | (entry.level ? level_bit : 0);
    LockGuard guard(lock);
    // Masked while half of it is written: an interrupt never sees the new vector with the old target.
    write_raw(*chip, low_word(line), low | mask_bit);
    write_raw(*chip, low_word(line) + 1, entry.target.raw() << 24);
    if (!entry.masked) write_raw(*chip, low_word(line), low);
}

void set_mask(u32 gsi, bool masked) {
    const Chip* chip = chip_of(gsi);
    if (chip == nullptr) return;
    const u32 reg = low_word(gsi - chip->gsi_base);
    LockGuard guard(lock);
    const u32 old = read_raw(*chip, reg);
    write_raw(*chip, reg, masked ? old | mask_bit : old & ~mask_bit);
    if (masked) static_cast<void>(read_raw(*chip, reg)); // flushes the posted write
}

Result<u32> read_register(Maddr base, u8 reg) {
    for (u32 i = 0; i < chip_count; ++i) {
        if (chips[i].address != base) continue;
        LockGuard guard(lock);
        return read_raw(chips[i], reg);
    }
    return fail(Errno::EINVAL);
}

} // namespace streak::ioapic
