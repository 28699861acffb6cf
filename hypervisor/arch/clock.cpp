// SPDX-License-Identifier: GPL-2.0-only
#include "arch/clock.hpp"

#include "arch/cmos.hpp"
#include "arch/cpu.hpp"
#include "arch/io.hpp"
#include "lib/panic.hpp"
#include "lib/spinlock.hpp"

namespace streak::clock {

namespace {

constinit u64 khz = 0;
constinit Scale scale{};
constinit u64 ticks_per_ns = 0; ///< 32.32 fixed point
constinit u64 boot_tsc = 0;
constinit bool stable = false;

constinit SpinLock wall_lock;
constinit Wallclock wall{};

// ---- Reference clocks ----

struct Reference {
    const char* name;
    u64 (*read)();
    u64 mask;      ///< the counter's width
    u64 period_fs; ///< femtoseconds per tick
    u64 window_ns; ///< how long to compare
};

constinit volatile u32* hpet = nullptr;
constinit u16 pm_port = 0;

u64 read_hpet() { return hpet[0xf0 / 4]; }
u64 read_pm() { return arch::in32(pm_port) & 0xffffff; }

/// Channel 2 counts down from 0xffff without an interrupt; its gate is bit 0 of port 0x61.
void start_pit() {
    arch::out8(0x61, static_cast<u8>((arch::in8(0x61) & ~2u) | 1u)); // speaker off, gate on
    arch::out8(0x43, 0xb0);                                          // channel 2, low then high byte, mode 0
    arch::out8(0x42, 0xff);
    arch::out8(0x42, 0xff);
}
u64 read_pit() {
    arch::out8(0x43, 0x80); // latch channel 2
    const u64 low = arch::in8(0x42);
    return 0xffff - (low | static_cast<u64>(arch::in8(0x42)) << 8);
}

/// TSC and reference read together: the pair with the least time in between of several.
struct Pair {
    u64 tsc, reference;
};
Pair sample(const Reference& reference) {
    Pair best{};
    u64 shortest = ~0ull;
    for (int i = 0; i < 6; ++i) {
        const u64 before = arch::rdtsc_ordered();
        const u64 value = reference.read();
        const u64 after = arch::rdtsc_ordered();
        if (after - before < shortest) {
            shortest = after - before;
            best = {before + shortest / 2, value};
        }
    }
    return best;
}

/// The TSC's rate as measured against a reference; 0 when that does not run.
u64 measure(const Reference& reference) {
    const u64 wanted = reference.window_ns * 1'000'000 / reference.period_fs;
    const Pair first = sample(reference);
    u64 last_value = first.reference, last_tsc = first.tsc;
    for (;;) {
        const u64 value = reference.read();
        if (((value - first.reference) & reference.mask) >= wanted) break;
        const u64 tsc = arch::rdtsc();
        if (value != last_value) {
            last_value = value;
            last_tsc = tsc;
        } else if (tsc - last_tsc > 1ull << 28) {
            return 0; // it stands still
        }
        arch::cpu_relax();
    }
    const Pair last = sample(reference);
    const u64 ticks = (last.reference - first.reference) & reference.mask;
    const u64 ns = ticks * (reference.period_fs / 1000) / 1000 + ticks * (reference.period_fs % 1000) / 1'000'000;
    return (last.tsc - first.tsc) * 1'000'000 / std::max<u64>(ns, 1);
}

/// CPUID leaf 0x15: the TSC as a multiple of a crystal's frequency.
u64 khz_from_cpuid() {
    if (arch::cpu_features.max_leaf < 0x15) return 0;
    const arch::CpuidLeaf leaf = arch::cpuid(0x15);
    if (leaf.eax == 0 || leaf.ebx == 0 || leaf.ecx == 0) return 0;
    return static_cast<u64>(leaf.ecx) * leaf.ebx / leaf.eax / 1000;
}

u64 find_khz(const References& references) {
    if (const u64 found = khz_from_cpuid()) {
        log_info("TSC: {} kHz by CPUID", found);
        return found;
    }
    hpet = references.hpet;
    pm_port = references.pm_timer_port;
    Reference candidates[3] = {{"HPET", read_hpet, 0xffffffff, 0, 10'000'000},
                               {"ACPI timer", read_pm, 0xffffff, 279'365'114, 20'000'000},
                               {"PIT", read_pit, 0xffff, 838'095'345, 20'000'000}};
    for (Reference& reference : candidates) {
        if (reference.read == read_hpet) {
            if (hpet == nullptr || hpet[1] == 0 || hpet[1] > 100'000'000) continue;
            reference.period_fs = hpet[1];
            hpet[0x10 / 4] = hpet[0x10 / 4] | 1; // main counter on
        } else if (reference.read == read_pm && pm_port == 0) {
            continue;
        } else if (reference.read == read_pit) {
            start_pit();
        }
        const u64 found = measure(reference);
        if (found >= 1000) {
            log_info("TSC: {} kHz by {}", found, reference.name);
            return found;
        }
    }
    panic("no clock to calibrate the TSC with: HPET, ACPI timer and PIT all stand still");
}

/// (value × factor) >> 32 without overflow.
u64 multiply_shift32(u64 value, u64 factor) {
    return static_cast<u64>(static_cast<unsigned __int128>(value) * factor >> 32);
}

Scale scale_for(u64 frequency_khz) {
    u64 hz = frequency_khz * 1000;
    std::int8_t shift = 0;
    for (; hz > 2'000'000'000; --shift) hz >>= 1;
    for (; hz <= 1'000'000'000; ++shift) hz <<= 1;
    return {static_cast<u32>((1'000'000'000ull << 32) / hz), shift};
}

u64 to_ns(u64 ticks) {
    return multiply_shift32(scale.shift < 0 ? ticks >> -scale.shift : ticks << scale.shift, scale.mul);
}

} // namespace

void init(const References& references) {
    khz = find_khz(references);
    scale = scale_for(khz);
    ticks_per_ns = (khz << 32) / 1'000'000;
    stable = arch::cpu_features.invariant_tsc;
    boot_tsc = read_tsc();
    wall = {cmos::read_seconds(), 0};
    const u64 passed = now();
    set_wallclock(wall.sec, 0, passed);
}

u64 read_tsc() { return arch::rdtsc_ordered(); }
u64 now() { return to_ns(read_tsc() - boot_tsc); }
u64 tsc_khz() { return khz; }
bool tsc_is_stable() { return stable; }
Scale tsc_scale() { return scale; }

Stamp stamp() {
    const u64 tsc = read_tsc();
    return {tsc, to_ns(tsc - boot_tsc)};
}

u64 tsc_at(u64 system_time) {
    const Stamp at = stamp();
    return system_time <= at.system_time ? at.tsc
                                         : at.tsc + multiply_shift32(system_time - at.system_time, ticks_per_ns);
}

void delay_us(u64 microseconds) {
    const u64 end = read_tsc() + microseconds * khz / 1000;
    while (static_cast<i64>(end - read_tsc()) > 0) arch::cpu_relax();
}

Wallclock wallclock() {
    LockGuard guard(wall_lock);
    return wall;
}

void set_wallclock(u64 sec, u32 nsec, u64 system_time) {
    constexpr u64 second = 1'000'000'000;
    // Seconds and nanoseconds of system time are taken off separately, borrowing one second.
    u64 s = sec - system_time / second;
    u64 n = second + nsec - system_time % second;
    s += n / second;
    n %= second;
    LockGuard guard(wall_lock);
    wall = {s - 1, static_cast<u32>(n)};
}

} // namespace streak::clock
