// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <atomic>

#include "lib/ids.hpp"
#include "lib/types.hpp"

namespace streak {
struct Vcpu;
}

namespace streak::arch {

struct CpuTables;

/// Page-table isolation: a top table that guests of one CPU run on.
struct GuestRoot {
    u64 shown_cr3; ///< the guest's top table that it is a copy of; 0: of none
    u64 cr3;       ///< what CR3 gets when a guest on that one is entered
    u64* table;
};

/// Work a CPU does before it returns to a guest or goes idle; bits of PerCpu::work.
enum class Work : u32 {
    schedule = 1u << 0, ///< choose the next vCPU
    timer = 1u << 1,    ///< the timer heap has an expired entry
    console = 1u << 2,  ///< serial input waits
    custom = 1u << 3,   ///< run PerCpu::remote_call
    nmi = 1u << 4,      ///< a hardware NMI is dom0's (arch/nmi.hpp)
    trace = 1u << 5,    ///< a trace buffer is half full
};

/// Everything that belongs to one processor; GS points at it inside the hypervisor.
/// entry.S uses the first members through asm_offsets. It has a page of its own: isolated guests can't do without.
struct alignas(page_size) PerCpu {
    PerCpu* self;
    Vcpu* current;         ///< the vCPU this CPU runs (its idle vCPU when none)
    u64 guest_rsp;         ///< scratch of the SYSCALL entry
    u64 stack_top;         ///< where handlers run
    u64 guest_regs_end;    ///< of current->regs, the same as TSS.rsp0
    std::atomic<u32> work; ///< Work bits
    CpuId cpu;
    ApicId apic_id;
    bool online;
    bool soft_tlb; ///< the vCPU that runs does so on tables of its own (mm/soft_tlb.hpp)
    u64 cr3;       ///< what CR3 holds while the hypervisor runs
    Vcpu* idle;
    CpuTables* tables; ///< GDT page, TSS, exception stacks (arch/cpu_area.hpp)
    u64 retried_rip;   ///< the last guest access that faulted and was tried again
    u64 retried_address;
    u64 xcr0; ///< what XCR0 holds

    // With page-table isolation (arch/speculation.hpp):
    u64 entry_stack;          ///< where the processor stores frames of guests
    GuestRoot guest_roots[2]; ///< for the kernel and the user mode of the vCPU that runs
    u64 last_guest;           ///< Domain::serial of the latest guest
    u64 keep_tlb;             ///< CR3's bit that keeps translations, where PCIDs are used
};

[[nodiscard]] inline PerCpu& this_cpu() {
    PerCpu* p;
    asm("mov %%gs:0, %0" : "=r"(p));
    return *p;
}

[[nodiscard]] inline CpuId cpu_id() { return this_cpu().cpu; }

/// The block of any started CPU (arch/percpu.cpp).
[[nodiscard]] PerCpu& percpu(CpuId cpu);

/// CPUs that run (arch/smp.cpp). Indices are dense from 0.
extern std::atomic<u32> online_count;
[[nodiscard]] inline u32 online_cpu_count() { return online_count.load(std::memory_order_relaxed); }

/// Ask a CPU to do `work` at its next exit to a guest; sends an IPI when it is another CPU.
void raise_work(CpuId cpu, Work work);
inline void raise_local_work(Work work) { this_cpu().work.fetch_or(static_cast<u32>(work), std::memory_order_relaxed); }

} // namespace streak::arch

namespace streak {
/// The vCPU on whose behalf this CPU runs. It stays the same while a handler runs, so that the compiler may keep it.
[[nodiscard]] inline Vcpu& current() {
    Vcpu* v;
    asm("mov %%gs:8, %0" : "=r"(v));
    return *v;
}
/// The same in the one function that goes on after the scheduler has switched.
[[nodiscard]] inline Vcpu& current_after_switch() {
    Vcpu* v;
    asm volatile("mov %%gs:8, %0" : "=r"(v)::"memory");
    return *v;
}
} // namespace streak
