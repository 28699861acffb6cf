// SPDX-License-Identifier: GPL-2.0-only
// clang-format off: it would break the %l[label] operands
#include "arch/fpu.hpp"

#include <cstring>

#include "arch/cpu.hpp"
#include "arch/extable.hpp"
#include "arch/percpu.hpp"

namespace streak::arch {

namespace {

/// The part of an FXSAVE image that INIT doesn't leave zero (Intel SDM 1, 10.5).
constexpr u16 initial_fcw = 0x37f;
constexpr u32 initial_mxcsr = 0x1f80;
constexpr u64 fcw_offset = 0, mxcsr_offset = 24, st_offset = 32, xmm_offset = 160, xmm_bytes = 256, fxsave_bytes = 512,
              header_offset = 512;

alignas(64) constinit u8 initial_area[page_size]{};

void load_xcr0(u64 value) {
    u64& held = this_cpu().xcr0;
    if (held == value || !cpu_features.xsave) return;
    write_xcr0(value);
    held = value;
}

void save_registers(void* area) {
    if (!cpu_features.xsave) asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    else if (cpu_features.xsaveopt) asm volatile("xsaveopt64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    else asm volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
}

/// False when the processor refuses the area.
[[nodiscard]] bool restore_registers(const void* area) {
    if (cpu_features.xsave)
        asm volatile goto("1: xrstor64 (%0)\n" EXTABLE(1b, %l[refused])
                 : : "r"(area), "a"(~0u), "d"(~0u) : "memory" : refused);
    else
        asm volatile goto("1: fxrstor64 (%0)\n" EXTABLE(1b, %l[refused]) : : "r"(area) : "memory" : refused);
    return true;
refused:
    return false;
}

} // namespace

u64 fpu_area_bytes() { return cpu_features.xsave ? cpu_features.xsave_bytes : 512; }

void fpu_init_area(void* area) {
    std::memset(area, 0, fpu_area_bytes());
    std::memcpy(static_cast<u8*>(area) + fcw_offset, &initial_fcw, sizeof initial_fcw);
    std::memcpy(static_cast<u8*>(area) + mxcsr_offset, &initial_mxcsr, sizeof initial_mxcsr);
    if (cpu_features.xsave) {
        const u64 present = 3; // x87 and SSE are read from the area, the rest is in its initial state
        std::memcpy(static_cast<u8*>(area) + header_offset, &present, sizeof present);
    }
}

void fpu_import(void* area, const void* image) {
    fpu_init_area(area);
    std::memcpy(area, image, fxsave_bytes);
}

// XSAVE leaves out what is in its initial state; MXCSR is always there (Intel SDM 1, 13.7).
void fpu_export(const void* area, void* image) {
    const u8* from = static_cast<const u8*>(area);
    u8* to = static_cast<u8*>(image);
    std::memcpy(to, from, fxsave_bytes);
    if (!cpu_features.xsave) return;
    u64 present;
    std::memcpy(&present, from + header_offset, sizeof present);
    if (!(present & 1)) {
        std::memset(to, 0, mxcsr_offset);
        std::memset(to + st_offset, 0, xmm_offset - st_offset);
        std::memcpy(to + fcw_offset, &initial_fcw, sizeof initial_fcw);
    }
    if (!(present & 2)) std::memset(to + xmm_offset, 0, xmm_bytes);
}

void fpu_switch(void* save, void* restore, u64 guest_xcr0) {
    clear_ts();
    load_xcr0(cpu_features.xcr0);
    if (save) save_registers(save);
    if (restore && !restore_registers(restore)) {
        fpu_init_area(restore);
        fpu_init_area(initial_area);
        (void)restore_registers(initial_area);
    }
    if (restore) load_xcr0(guest_xcr0);
}

bool xcr0_valid(u64 value) {
    const bool sse = value & 2, avx = value & 4;
    const u64 avx512 = value & 0xe0;
    return (value & 1) && (value & ~cpu_features.xcr0) == 0 && (!avx || sse) &&
           (avx512 == 0 || (avx512 == 0xe0 && avx));
}

void set_guest_xcr0(u64 value) { load_xcr0(value); }

void clear_memory(void* pages, u64 bytes) {
    const bool ts = read_cr0() & cr0::ts;
    if (ts) clear_ts();
    alignas(16) u8 guests[16];
    auto* at = static_cast<u8*>(pages);
    asm volatile("movaps %%xmm0, %[guests]\n\t"
                 "xorps %%xmm0, %%xmm0\n"
                 "1:\t"
                 ".set offset, 0\n\t"
                 ".rept 16\n\t"
                 "movntps %%xmm0, offset(%[at])\n\t"
                 ".set offset, offset + 16\n\t"
                 ".endr\n\t"
                 "add $256, %[at]\n\t"
                 "cmp %[end], %[at]\n\t"
                 "jb 1b\n\t"
                 "sfence\n\t"
                 "movaps %[guests], %%xmm0"
                 : [at] "+r"(at), [guests] "=&m"(guests)
                 : [end] "r"(at + bytes)
                 : "memory", "cc");
    if (ts) set_ts();
}

} // namespace streak::arch
