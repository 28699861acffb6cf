// SPDX-License-Identifier: GPL-2.0-only
#include "arch/lapic.hpp"

#include <algorithm>

#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/msr.hpp"
#include "arch/vectors.hpp"
#include "lib/log.hpp"

namespace streak::lapic {

namespace {

// Register offsets of xAPIC; x2APIC's MSR is 0x800 + offset / 16.
constexpr u32 reg_id = 0x20, reg_version = 0x30, reg_tpr = 0x80, reg_eoi = 0xb0, reg_dfr = 0xe0, reg_spurious = 0xf0,
              reg_in_service = 0x100, reg_error = 0x280, reg_icr = 0x300, reg_icr_high = 0x310, reg_lvt_timer = 0x320,
              reg_lvt_thermal = 0x330, reg_lvt_perf = 0x340, reg_lvt_lint0 = 0x350, reg_lvt_lint1 = 0x360,
              reg_lvt_error = 0x370, reg_timer_initial = 0x380, reg_timer_current = 0x390, reg_timer_divide = 0x3e0;

constexpr u32 msr_apic_base = 0x1b, msr_tsc_deadline = 0x6e0;
constexpr u64 base_x2apic = 1u << 10, base_enable = 1u << 11;
constexpr u32 lvt_masked = 1u << 16, lvt_nmi = 4u << 8, lvt_tsc_deadline = 2u << 17;
constexpr u32 icr_busy = 1u << 12, icr_assert = 1u << 14, icr_level = 1u << 15;
constexpr u32 icr_nmi = 4u << 8, icr_init = 5u << 8, icr_startup = 6u << 8;

constinit volatile u32* registers_ = nullptr;
constinit bool x2apic_ = false;
constinit bool tsc_deadline_ = false;
constinit u64 timer_khz_ = 0;

u32 read(u32 reg) { return x2apic_ ? static_cast<u32>(arch::read_msr(0x800 + reg / 16)) : registers_[reg / 4]; }

void write(u32 reg, u32 value) {
    if (x2apic_) arch::write_msr(0x800 + reg / 16, value);
    else registers_[reg / 4] = value;
}

/// Writes the interrupt command register. In xAPIC mode a former command must have left first.
void command(ApicId to, u32 low) {
    if (x2apic_) {
        asm volatile("mfence; lfence" ::: "memory"); // WRMSR to the ICR does not order earlier stores
        arch::write_msr(0x800 + reg_icr / 16, static_cast<u64>(to.raw()) << 32 | low);
        return;
    }
    while ((registers_[reg_icr / 4] & icr_busy) != 0) arch::cpu_relax();
    registers_[reg_icr_high / 4] = to.raw() << 24;
    registers_[reg_icr / 4] = low;
}

bool has_local_vector(u32 reg) {
    const u32 highest = (read(reg_version) >> 16) & 0xff;
    return reg == reg_lvt_thermal ? highest >= 5 : reg == reg_lvt_perf ? highest >= 4 : true;
}

} // namespace

void init_boot(volatile u32* registers, bool need_x2apic) {
    registers_ = registers;
    const arch::CpuidLeaf features = arch::cpuid(1, 0);
    const bool capable = (features.ecx >> 21) & 1;
    const bool enabled = (arch::read_msr(msr_apic_base) & base_x2apic) != 0;
    x2apic_ = capable && (enabled || need_x2apic);
    tsc_deadline_ = (features.ecx >> 24) & 1;
    init_cpu();
}

void init_cpu() {
    u64 base = arch::read_msr(msr_apic_base);
    if ((base & base_enable) == 0) {
        base |= base_enable;
        arch::write_msr(msr_apic_base, base);
    }
    if (x2apic_ && (base & base_x2apic) == 0) arch::write_msr(msr_apic_base, base | base_x2apic);

    write(reg_tpr, 0);
    if (!x2apic_) write(reg_dfr, ~0u);
    write(reg_lvt_lint0, lvt_masked);
    write(reg_lvt_lint1, lvt_nmi);
    if (has_local_vector(reg_lvt_thermal)) write(reg_lvt_thermal, lvt_masked);
    if (has_local_vector(reg_lvt_perf)) write(reg_lvt_perf, lvt_masked);
    write(reg_error, 0);
    write(reg_lvt_error, arch::error_vector.raw());
    write(reg_spurious, 0x100u | arch::spurious_vector.raw());

    // Interrupts in service that the firmware or a former life left behind.
    for (unsigned i = 0; i < 256; ++i) {
        u32 pending = 0;
        for (u32 word = 0; word < 8; ++word) pending |= read(reg_in_service + word * 0x10);
        if (pending == 0) break;
        eoi();
    }

    if (tsc_deadline_) {
        write(reg_lvt_timer, lvt_tsc_deadline | arch::timer_vector.raw());
        asm volatile("mfence" ::: "memory"); // SDM 11.5.4.1: order the LVT write before WRMSR
    } else {
        write(reg_timer_divide, 0xb); // divide by 1
        write(reg_lvt_timer, arch::timer_vector.raw());
    }
    set_timer(~0ull);
}

ApicId id() {
    const u32 raw = read(reg_id);
    return ApicId(x2apic_ ? raw : raw >> 24);
}

void eoi() { write(reg_eoi, 0); }

void send_ipi(ApicId to, Vector vector) { command(to, vector.raw() | icr_assert); }
void send_nmi(ApicId to) { command(to, icr_nmi | icr_assert); }

void send_init(ApicId to) {
    command(to, icr_init | icr_level | icr_assert);
    if (!x2apic_) command(to, icr_init | icr_level); // de-assert: only very old APICs care
}

void send_startup(ApicId to, u8 page) { command(to, icr_startup | page); }

void calibrate_timer() {
    if (tsc_deadline_) {
        log_info("APIC timer: TSC deadline, {}", x2apic_ ? "x2APIC" : "xAPIC");
        return;
    }
    // Counts down with the interrupt masked. Disturbances (an emulator descheduled by its host) only
    // lengthen a sample; of several the median is taken.
    u64 samples[5];
    write(reg_lvt_timer, lvt_masked | arch::timer_vector.raw());
    for (u64& sample : samples) {
        write(reg_timer_initial, ~0u);
        const u32 first = read(reg_timer_current);
        const u64 start = clock::now();
        clock::delay_us(500);
        const u32 last = read(reg_timer_current);
        const u64 elapsed = clock::now() - start;
        sample = static_cast<u64>(first - last) * 1'000'000 / std::max<u64>(elapsed, 1);
    }
    std::sort(std::begin(samples), std::end(samples));
    timer_khz_ = std::max<u64>(samples[2], 1);
    write(reg_timer_initial, 0);
    write(reg_lvt_timer, arch::timer_vector.raw());
    log_info("APIC timer: {} kHz, {}", timer_khz_, x2apic_ ? "x2APIC" : "xAPIC");
}

void set_timer(u64 deadline) {
    if (tsc_deadline_) {
        arch::write_msr(msr_tsc_deadline, deadline == ~0ull ? 0 : std::max<u64>(clock::tsc_at(deadline), 1));
        return;
    }
    if (deadline == ~0ull || timer_khz_ == 0) {
        write(reg_timer_initial, 0);
        return;
    }
    const u64 now = clock::now();
    const u64 wait = deadline > now ? std::min<u64>(deadline - now, 1'000'000'000) : 0;
    const u64 ticks = wait * timer_khz_ / 1'000'000 + 1;
    write(reg_timer_initial, static_cast<u32>(std::min<u64>(ticks, ~0u)));
}

u32 error_status() {
    write(reg_error, 0);
    return read(reg_error);
}

} // namespace streak::lapic
