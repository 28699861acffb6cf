// SPDX-License-Identifier: GPL-2.0-only
#include "arch/percpu.hpp"

#include "arch/cpu_area.hpp"
#include "lib/panic.hpp"

namespace streak::arch {

namespace {

constinit std::array<PerCpu*, max_cpus> blocks{};

} // namespace

extern "C" {
constinit PerCpu boot_percpu{}; // head.S fills `self` and `stack_top`
}

PerCpu& percpu(CpuId cpu) {
    PerCpu* block = blocks[cpu.raw()];
    ASSERT(block);
    return *block;
}

void register_percpu(CpuId cpu, PerCpu& block) { blocks[cpu.raw()] = &block; }

const u64 cpu_area_bytes = (sizeof(CpuArea) + page_size - 1) & ~(page_size - 1);

PerCpu& create_percpu(CpuId cpu, ApicId apic_id, void* memory) {
    ASSERT(reinterpret_cast<u64>(memory) % page_size == 0);
    auto* area = static_cast<CpuArea*>(memory);
    PerCpu& block = area->percpu;
    block.self = &block;
    block.cpu = cpu;
    block.apic_id = apic_id;
    block.tables = &area->tables;
    block.stack_top = reinterpret_cast<u64>(area->stack.data() + area->stack.size());
    init_tables(block);
    register_percpu(cpu, block);
    return block;
}

} // namespace streak::arch
