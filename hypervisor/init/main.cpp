// SPDX-License-Identifier: GPL-2.0-only

#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/descriptor.hpp"
#include "arch/dump.hpp"
#include "arch/handlers.hpp"
#include "arch/image.hpp"
#include "arch/machine.hpp"
#include "arch/nmi.hpp"
#include "arch/smp.hpp"
#include "arch/speculation.hpp"
#include "domain/lifecycle.hpp"
#include "domain/scheduler.hpp"
#include "init/dom0_builder.hpp"
#include "init/platform.hpp"
#include "lib/build_info.hpp"
#include "lib/panic.hpp"
#include "mm/boot_memory.hpp"
#include "mm/host_page_table.hpp"

// The composition root: from GRUB's hand-over to dom0's first instruction.

#ifdef HV_DEBUG
namespace streak::invariants {
void start(); // tests/invariants
}
#endif

namespace streak::init {

namespace {

using loader::BootInfo;
using loader::Bytes;

constexpr u64 dom0_least_bytes = 16ull << 20;

BootInfo read_boot_info(u32 magic, u64 address) {
    if (magic != loader::multiboot2_magic)
        panic("the boot loader: magic {:#x} expected, {:#x} found; start Streak with GRUB's multiboot2 command",
              loader::multiboot2_magic, magic);
    const auto* start = arch::direct_map<const std::byte>(Maddr(address));
    const auto size = loader::boot_info_size(Bytes(start, 8));
    if (!size) panic("the boot loader's information is damaged");
    auto info = BootInfo::parse(Bytes(start, *size));
    if (!info) panic("the boot loader's information is damaged ({})", info.error().item);
    mm::reserve_boot_range(Maddr(address), *size);
    return *info;
}

mm::MemoryMap machine_ranges(const BootInfo& info) {
    mm::MemoryMap map;
    info.for_each_range([&](const loader::MemoryRange& r) {
        if (!map.push_back({r.start, r.start + r.bytes, r.type}))
            log_warning("memory map: more than {} ranges, {:#x} is ignored", map.capacity(), r.start);
    });
    if (map.empty()) panic("memory map: one expected from the boot loader, none found");
    return map;
}

void report_options(const loader::Options& options) {
    for (std::string_view word : options.unknown) log_warning("command line: unknown option '{}' is ignored", word);
    for (std::string_view word : options.invalid)
        log_warning("command line: the value of '{}' can't be read, the default holds", word);
}

void start_memory(const BootInfo& info) {
    mm::reserve_boot_range(Maddr(arch::image_load_address), static_cast<u64>(arch::__image_end - arch::__image_start));
    for (const loader::BootModule& m : info.modules) mm::reserve_boot_range(Maddr(m.start), m.size());
    mm::init_memory(machine_ranges(info));
    if (PanicRecord* record = mm::panic_record()) arch::keep_panics_in(*record);
}

Bytes module_bytes(const loader::BootModule& m) {
    return {arch::direct_map<const std::byte>(Maddr(m.start)), m.size()};
}

/// Frames for dom0 out of what is free once everything else has its memory.
u64 dom0_pages(const loader::Options& options) {
    constexpr u64 for_tables = 16ull << 20; // page tables of the hypervisor, heap
    const u64 free_bytes = mm::memory_totals().free_frames << page_shift;
    const u64 available = free_bytes > for_tables ? free_bytes - for_tables : 0;
    const u64 bytes = options.dom0_memory.resolve(available);
    if (bytes < dom0_least_bytes)
        panic("memory for dom0: at least {} MiB expected, {} MiB found", dom0_least_bytes >> 20, bytes >> 20);
    return bytes >> page_shift;
}

u32 dom0_vcpus(const loader::Options& options) {
    const u32 cpus = arch::online_cpu_count();
    const u32 wanted = options.dom0_max_vcpus == 0 ? cpus : options.dom0_max_vcpus;
    return std::clamp(wanted, std::max(1u, options.dom0_min_vcpus), vcpu_limit);
}

Domain& start_dom0(const BootInfo& info, const loader::Options& options) {
    if (info.modules.empty()) panic("dom0's kernel: a module2 line expected in GRUB's menu entry, none found");
    const loader::BootModule& kernel = info.modules[0];
    for (u64 i = 2; i < info.modules.size(); ++i)
        log_warning("boot module {} is not used: there is no policy engine", i);
    const Bytes initrd = info.modules.size() > 1 ? module_bytes(info.modules[1]) : Bytes{};
    return build_dom0(
        {.kernel = module_bytes(kernel),
         .kernel_command_line = kernel.command_line,
         .initrd = initrd,
         .pages = dom0_pages(options),
         .max_pages = options.dom0_memory.maximum.given ? options.dom0_memory.maximum.bytes >> page_shift : 0,
         .vcpus = dom0_vcpus(options),
         .boot_info = &info});
}

void pin_vcpus(Domain& d) {
    for (u32 i = 0; i < d.max_vcpus; ++i) {
        const CpuMask one = CpuMask::of(CpuId(i % arch::online_cpu_count()));
        (void)scheduler::set_affinity(*d.vcpus[i], &one, nullptr);
    }
}

/// Boot code, decoders, modules: ordinary memory from now on.
void release_boot_memory(const BootInfo& info) {
    for (const loader::BootModule& m : info.modules) mm::release_boot_range(Maddr(m.start), m.size());
    const u64 bytes = static_cast<u64>(arch::__init_end - arch::__init_start);
    for (u64 offset = 0; offset < bytes; offset += page_size)
        mm::map_hypervisor_page(reinterpret_cast<u64>(arch::__init_start) + offset, invalid_mfn, mm::Access::none);
    mm::release_boot_range(arch::image_maddr(arch::__init_start), bytes);
}

} // namespace

} // namespace streak::init

extern "C" void streak_main(streak::u32 magic, streak::u64 boot_info_address) {
    using namespace streak;
    using namespace streak::init;

    const BootInfo info = read_boot_info(magic, boot_info_address);
    build_info::set_command_line(info.command_line);
    const loader::Options options = loader::parse_command_line(build_info::command_line());
    start_consoles(options, info);
    log_info("Streak {}.{}{}, {}", build_info::major, build_info::minor, build_info::extra, build_info::compiler);
    arch::log_build_id(LogLevel::info);
    log_info("command line: {}", build_info::command_line());
    report_options(options);
    machine::set_noreboot(options.no_reboot);
    nmi::set_policy(options.nmi == "fatal"    ? nmi::Policy::fatal
                    : options.nmi == "ignore" ? nmi::Policy::ignore
                                              : nmi::Policy::dom0);
    arch::limit_protection(options.smep != loader::Switch::off, options.smap != loader::Switch::off);
    arch::choose_measures(options.speculation);
    arch::init_cpu();

    start_memory(info);
    arch::map_windows(arch::cpu_id());
    arch::load_descriptor_tables();
    start_platform(options, info);
    scheduler::start_cpu();
    smp::start_all(options.max_cpus);
    mm::drop_low_mappings();
    log_info("processors: {}, TSC {} kHz", arch::online_cpu_count(), clock::tsc_khz());

    Domain& d = start_dom0(info, options);
    if (options.dom0_vcpus_pin) pin_vcpus(d);
    release_boot_memory(info);
    mm::check_write_xor_execute();
    log_info("no mapping is writable and executable");
#ifdef HV_DEBUG
    invariants::start();
#endif
    log_info("starting dom0");
    scheduler::bring_up(*d.vcpus[0]);
    ASSERT(lifecycle::unpause(d));
    arch::exit_to_current();
}
