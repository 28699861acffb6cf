// SPDX-License-Identifier: GPL-2.0-only
#include "arch/smp.hpp"

#include "arch/boot/trampoline.hpp"
#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/cr.hpp"
#include "arch/descriptor.hpp"
#include "arch/dump.hpp"
#include "arch/handlers.hpp"
#include "arch/lapic.hpp"
#include "arch/vectors.hpp"
#include "lib/panic.hpp"
#include "lib/spinlock.hpp"
#include "lib/static_vector.hpp"

namespace streak::smp {

namespace {

constinit CpuMask online_cpus;
constinit std::array<u32, max_cpus> acpi_ids{};
constinit u32 known_cpus = 0; ///< blocks exist for CPUs below

struct Processor {
    ApicId apic_id;
    u32 acpi_id;
};
constinit StaticVector<Processor, max_cpus> processors;
constinit Plan plan;

constinit std::atomic<bool> stopping{false}, showing{false};
constinit std::atomic<u32> stops_now{max_cpus}; ///< whose turn it is
constinit CpuMask stopped;

struct RemoteCall {
    SpinLock lock; ///< one call at a time
    std::atomic<u32> target{max_cpus};
    void (*function)(void*) = nullptr;
    void* argument = nullptr;
};
constinit RemoteCall remote_call;

void go_online(arch::PerCpu& block) {
    block.online = true;
    online_cpus.set(block.cpu);
    arch::online_count.fetch_add(1);
}

extern "C" [[noreturn]] void ap_entry(arch::PerCpu* block) {
    arch::write_cr3(plan.cr3);
    block->cr3 = plan.cr3;
    arch::load_descriptor_tables();
    arch::init_cpu();
    lapic::init_cpu();
    go_online(*block);
    plan.run();
    panic("CPU {} has nothing to do", block->cpu);
}

/// INIT, then up to two start-up IPIs (SDM 3A 8.4.4.1). True when the CPU came online.
bool start(const arch::PerCpu& block, Maddr trampoline) {
    const u8 page = static_cast<u8>(trampoline.raw() >> page_shift);
    lapic::send_init(block.apic_id);
    clock::delay_us(10'000);
    for (unsigned attempt = 0; attempt < 2; ++attempt) {
        lapic::send_startup(block.apic_id, page);
        // An emulator may take its time; real ones are there after a few hundred microseconds.
        const u64 patience = attempt == 0 ? 2'000 : 2'000'000;
        for (u64 waited = 0; waited < patience; waited += 20) {
            if (online_cpus.test(block.cpu)) return true;
            clock::delay_us(20);
        }
    }
    return false;
}

} // namespace

const CpuMask& online() { return online_cpus; }
u32 acpi_id_of(CpuId cpu) { return acpi_ids[cpu.raw()]; }

void init_boot_cpu() {
    arch::PerCpu& block = arch::this_cpu();
    block.apic_id = lapic::id();
    known_cpus = 1;
    go_online(block);
}

void add_processor(ApicId apic_id, u32 acpi_id) {
    if (apic_id == arch::this_cpu().apic_id) acpi_ids[0] = acpi_id;
    if (!processors.push_back({apic_id, acpi_id}))
        log_warning("more than {} processors: APIC {:#x} is not used", max_cpus, apic_id);
}

void set_plan(const Plan& wanted) { plan = wanted; }

void start_all(u32 maxcpus) {
    const u32 limit = maxcpus == 0 ? max_cpus : std::min<u32>(maxcpus, max_cpus);
    for (const Processor& processor : processors) {
        if (processor.apic_id == arch::this_cpu().apic_id || known_cpus >= limit) continue;
        void* memory = plan.allocate(arch::cpu_area_bytes);
        if (memory == nullptr) {
            log_warning("No memory for CPU {}", known_cpus);
            break;
        }
        const CpuId cpu(known_cpus++);
        acpi_ids[cpu.raw()] = processor.acpi_id;
        arch::PerCpu& block = arch::create_percpu(cpu, processor.apic_id, memory);
        arch::map_windows(cpu);
        arch::write_trampoline(plan.trampoline, {.cr3 = arch::ap_root(),
                                                 .stack_top = block.stack_top,
                                                 .entry = reinterpret_cast<u64>(&ap_entry),
                                                 .percpu = reinterpret_cast<u64>(&block)});
        if (!start(block, plan.trampoline)) // its number stays unused: it might wake up late
            log_error("CPU {} (APIC {:#x}) does not start", cpu, processor.apic_id);
    }
    log_info("{} of {} processors online", arch::online_cpu_count(), processors.size());
}

void call_on(CpuId cpu, void (*function)(void*), void* argument) {
    if (cpu == arch::cpu_id()) {
        function(argument);
        return;
    }
    // Two CPUs may call each other: whoever waits serves its own calls meanwhile.
    while (!remote_call.lock.try_lock()) {
        serve_remote_call();
        spin_wait();
    }
    remote_call.function = function;
    remote_call.argument = argument;
    remote_call.target.store(cpu.raw());
    arch::raise_work(cpu, arch::Work::custom);
    while (remote_call.target.load() != max_cpus) spin_wait();
    remote_call.lock.unlock();
}

void serve_remote_call() {
    if (remote_call.target.load() != arch::cpu_id().raw()) return;
    remote_call.function(remote_call.argument);
    remote_call.target.store(max_cpus);
}

void stop_others(bool show) {
    showing.store(show);
    stopping.store(true);
    CpuMask others = online_cpus;
    others.clear(arch::cpu_id());
    others.for_each([show](CpuId cpu) { // one after the other, so that their lines don't mix
        if (stopped.test(cpu)) return;
        stops_now.store(cpu.raw());
        lapic::send_nmi(arch::percpu(cpu).apic_id);
        for (unsigned waited = 0; waited < 100'000 && !stopped.test(cpu); waited += 20) clock::delay_us(20);
        if (show && !stopped.test(cpu)) log_emergency("CPU {} does not answer", cpu);
    });
}

bool is_stopping() { return stopping.load(); }

bool stops_here(const arch::Registers& regs) {
    if (!stopping.load()) return false;
    while (stops_now.load() != arch::cpu_id().raw()) arch::cpu_relax();
    const Vcpu* v = arch::this_cpu().current;
    if (showing.load()) {
        log_emergency("CPU {}, {}, vCPU {:#x}:", arch::cpu_id(),
                      regs.from_guest()            ? "in a guest"
                      : v == arch::this_cpu().idle ? "idle"
                                                   : "in the hypervisor",
                      reinterpret_cast<u64>(v));
        arch::dump_registers(regs);
        if (!regs.from_guest()) arch::dump_backtrace(regs.rip, regs.rbp);
    }
    stopped.set(arch::cpu_id());
    return true;
}

} // namespace streak::smp

namespace streak::arch {

constinit std::atomic<u32> online_count{0};

void raise_work(CpuId cpu, Work work) {
    const u32 bit = static_cast<u32>(work);
    PerCpu& target = percpu(cpu);
    // When the bit is set already, its CPU is on the way to look, or the interrupt is.
    if ((target.work.fetch_or(bit) & bit) == 0 && &target != &this_cpu()) lapic::send_ipi(target.apic_id, work_vector);
}

} // namespace streak::arch
