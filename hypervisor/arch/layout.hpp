// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "lib/types.hpp"

// The hypervisor's virtual addresses (docs/memory-layout.md). A PV guest owns everything
// outside HYPERVISOR_VIRT_START..END; all L4 tables share the same sixteen upper entries.

namespace streak::arch {

inline constexpr u64 hypervisor_start = 0xffff800000000000; ///< xen/arch-x86/xen-x86_64.h
inline constexpr u64 hypervisor_end = 0xffff880000000000;
inline constexpr unsigned first_hypervisor_slot = 256, last_hypervisor_slot = 271;

inline constexpr u64 m2p_guest_base = 0xffff800000000000;     ///< read-only, user-accessible
inline constexpr u64 percpu_window_base = 0xffff808000000000; ///< per CPU: GDT window, then LDT window
inline constexpr u64 gdt_window_pages = 16, ldt_window_pages = 16;
inline constexpr u64 percpu_window_size = 1 << 21;   ///< an L1 table of its own for each CPU
inline constexpr u64 mmio_base = 0xffff810000000000; ///< device pages (APICs, HPET, framebuffer)
inline constexpr u64 image_base = 0xffff82d040000000;
#if __STDC_HOSTED__ // where tests can have memory (tests/unit/mm_frame_allocator.cpp)
inline constexpr u64 m2p_base = 0x200000000000, frame_table_base = 0x210000000000, direct_map_base = 0x220000000000;
#else
inline constexpr u64 m2p_base = 0xffff820000000000; ///< the same M2P, writable, supervisor
inline constexpr u64 frame_table_base = 0xffff824000000000;
inline constexpr u64 direct_map_base = 0xffff830000000000;
#endif

/// Where RAM (and ACPI tables) at a machine address can be read and written.
template <class T = void> [[nodiscard]] inline T* direct_map(Maddr address) {
    return reinterpret_cast<T*>(direct_map_base + address.raw());
}

[[nodiscard]] inline Maddr direct_map_maddr(const void* pointer) {
    return Maddr(reinterpret_cast<u64>(pointer) - direct_map_base);
}

[[nodiscard]] constexpr bool is_canonical(u64 va) { return static_cast<u64>(static_cast<i64>(va << 16) >> 16) == va; }

/// May a guest use the range [va, va + size)? Canonical, no wrap, outside the hypervisor's slots. (Everything from
/// hypervisor_end to the top is canonical.)
[[nodiscard]] constexpr bool guest_range_ok(u64 va, u64 size) {
    constexpr u64 low_bytes = 0x0000800000000000, high_bytes = 0 - hypervisor_end;
    return size <= high_bytes && (va - hypervisor_end <= high_bytes - size || va <= low_bytes - size);
}
static_assert(guest_range_ok(0, 8) && guest_range_ok(0x00007ffffffffff8, 8) && !guest_range_ok(0x00007ffffffffff9, 8));
static_assert(guest_range_ok(hypervisor_end, 8) && !guest_range_ok(hypervisor_end - 1, 8));
static_assert(!guest_range_ok(hypervisor_start, 1) && !guest_range_ok(~0ull, 8) && !guest_range_ok(0x800000000000, 1));
static_assert(!guest_range_ok(1, ~0ull) && !guest_range_ok(hypervisor_end, ~0ull));

[[nodiscard]] constexpr u64 gdt_window(CpuId cpu) { return percpu_window_base + cpu.raw() * percpu_window_size; }
[[nodiscard]] constexpr u64 ldt_window(CpuId cpu) { return gdt_window(cpu) + gdt_window_pages * page_size; }

} // namespace streak::arch
