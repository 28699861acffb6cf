// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>

#include "arch/percpu.hpp"
#include "arch/registers.hpp"

// GDT, IDT, TSS and the per-CPU windows through which a guest's own descriptors are reached.
//
// GDTR points at gdt_window(cpu): fourteen pages of the guest's descriptors, then the processor's GDT page
// with the selectors of the ABI (xen/arch-x86/xen-x86_64.h) and of Streak, then an empty page.

namespace streak::arch {

inline constexpr unsigned first_reserved_gdt_page = 14;

namespace selector {
inline constexpr u16 hypervisor_cs = 0xe008, hypervisor_ds = 0xe010, guest_cs32 = 0xe023, guest_ss = 0xe02b,
                     guest_cs64 = 0xe033, tss = 0xe040, ldt = 0xe050;
}

enum class Ist : u8 { none = 0, nmi = 1, double_fault = 2, machine_check = 3, debug = 4 };
inline constexpr unsigned ist_count = 4;

struct [[gnu::packed]] Tss {
    u32 reserved0;
    u64 rsp0, rsp1, rsp2;
    u64 reserved1;
    std::array<u64, 7> ist; ///< ist[0] is IST 1
    u64 reserved2;
    u16 reserved3;
    u16 io_map_base;
};
static_assert(sizeof(Tss) == 104);

/// Everything a processor needs to enter C++: its block, tables and stacks, in one piece of zeroed memory.
struct CpuArea;
extern const u64 cpu_area_bytes; ///< a multiple of the page size

/// Sets up the per-CPU block of another processor in `memory`, cpu_area_bytes of zeroed, page-aligned memory
/// in the direct map. Its stack_top, self, cpu and apic_id are valid afterwards; it is found by percpu().
PerCpu& create_percpu(CpuId cpu, ApicId apic_id, void* memory);

/// Loads GDTR, IDTR, TR, LDTR and the hypervisor's segment registers on this CPU (GS base must be set).
/// Uses the GDT window once map_windows() was called for the CPU.
void load_descriptor_tables();

/// Maps the windows of a CPU: no guest GDT frames, an absent LDT. Needs the host page tables.
void map_windows(CpuId cpu);

/// Puts a guest's frame into the GDT window (index < 14), or an empty page for `invalid_mfn`. Local CPU.
void set_gdt_window_frame(unsigned index, Mfn frame);
/// The same for the LDT window (index < 16); `invalid_mfn` leaves a hole that faults.
void set_ldt_window_frame(unsigned index, Mfn frame);
/// Loads LDTR with `entries` descriptors at the LDT window; 0: none.
void load_ldt(u32 entries);

/// Makes `vcpu` current() on this CPU: guest entries store their registers in `regs` from now on.
void set_current(Vcpu& vcpu, Registers& regs);

/// head.S: the boot processor's tables, detect_cpu_features() and init_cpu().
extern "C" void early_init();

} // namespace streak::arch
