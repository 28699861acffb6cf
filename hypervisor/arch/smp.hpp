// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/percpu.hpp"
#include "arch/registers.hpp"
#include "lib/cpu_mask.hpp"

namespace streak::smp {

/// What starting the other processors needs; the platform's set-up fills it.
struct Plan {
    Maddr trampoline{};                     ///< a free page below 1 MiB
    u64 cr3 = 0;                            ///< the hypervisor's own tables
    void* (*allocate)(u64 bytes) = nullptr; ///< zeroed, page-aligned, below 4 GiB, in the direct map
    void (*run)() = nullptr;                ///< where a started CPU goes on; never returns
};

/// The boot processor becomes CPU 0 and online; its APIC works.
void init_boot_cpu();
/// An enabled processor of the MADT, in its order. The boot processor may be among them.
void add_processor(ApicId apic_id, u32 acpi_id);
void set_plan(const Plan& plan);
/// Starts processors, one after the other, until `maxcpus` (0: no limit) run.
void start_all(u32 maxcpus);

[[nodiscard]] const CpuMask& online();
[[nodiscard]] u32 acpi_id_of(CpuId cpu); ///< processor UID of the MADT

/// Runs `function` on another CPU's exit path or idle loop, or here; waits until it is done. Hold no locks.
void call_on(CpuId cpu, void (*function)(void*), void* argument);

/// Halts every other CPU for good (panic, power-off); does not wait for answers longer than 100 ms.
/// With `show` each one says what it was doing, and those that don't answer are named.
void stop_others(bool show = false);
[[nodiscard]] bool is_stopping();
/// The part of the CPU that is stopped, in its NMI handler: false when nobody stops it.
[[nodiscard]] bool stops_here(const arch::Registers& regs);

/// Does what Work::custom asks; called on the exit path.
void serve_remote_call();

} // namespace streak::smp
