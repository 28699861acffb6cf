// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/efi.hpp"
#include "arch/machine.hpp"
#include "arch/smp.hpp"
#include "domain/scheduler.hpp"
#include "domain/time.hpp"
#include "hypercall/handlers.hpp"
#include "lib/symbols.hpp"

// XENPF_* of xen/platform.h: what the control domain does with the machine itself.

namespace streak::hypercall {

namespace {

// ---- Firmware and processors ----

using EfiInfo = decltype(xenpf_firmware_info_t::u.efi_info);

/// The firmware's vendor name, as long as the guest's buffer allows, ending in zero.
[[nodiscard]] Result<> copy_vendor(const efi::Info& efi, EfiInfo& out) {
    out.vendor.revision = efi.firmware_revision;
    const GuestHandle<u16> name(reinterpret_cast<u64>(out.vendor.name.p));
    const u32 room = out.vendor.bufsz / sizeof(u16);
    for (u32 i = 0; i < room; ++i) {
        const u16 unit = i + 1 < room ? efi.vendor[i] : u16{0};
        TRY(name.write(unit, i));
        if (unit == 0) break;
    }
    return {};
}

[[nodiscard]] Result<> efi_info(u32 index, EfiInfo& out) {
    const auto& efi = efi::info();
    if (!efi) return fail(Errno::ENOSYS); // booted by BIOS
    switch (index) {
    case XEN_FW_EFI_VERSION: out.version = efi->revision; return {};
    case XEN_FW_EFI_CONFIG_TABLE:
        out.cfg.addr = efi->config_table.raw();
        out.cfg.nent = efi->config_entries;
        return {};
    case XEN_FW_EFI_VENDOR: return copy_vendor(*efi, out);
    case XEN_FW_EFI_RT_VERSION: return fail(Errno::EOPNOTSUPP);
    default: return fail(Errno::EINVAL);
    }
}

[[nodiscard]] Result<> platform_firmware_info(xenpf_firmware_info_t& op) {
    switch (op.type) {
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO: return fail(Errno::ESRCH); // the BIOS is not asked at boot
    case XEN_FW_EFI_INFO: return efi_info(op.index, op.u.efi_info);
    case XEN_FW_KBD_SHIFT_FLAGS:
        if (op.index != 0) return fail(Errno::ESRCH);
        op.u.kbd_shift_flags = 0;
        return {};
    default: return fail(Errno::EINVAL);
    }
}

[[nodiscard]] Result<> platform_cpu_info(xenpf_pcpuinfo_t& op) {
    op.max_present = arch::online_cpu_count() - 1;
    op.flags = XEN_PCPU_FLAGS_INVALID;
    op.apic_id = op.acpi_id = ~0u;
    if (op.xen_cpuid >= max_cpus || !smp::online().test(CpuId(op.xen_cpuid))) return {};
    const CpuId cpu(op.xen_cpuid);
    op.flags = XEN_PCPU_FLAGS_ONLINE;
    op.apic_id = arch::percpu(cpu).apic_id.raw();
    op.acpi_id = smp::acpi_id_of(cpu);
    return {};
}

[[nodiscard]] Result<> platform_cpu_version(xenpf_pcpu_version_t& op) {
    op.max_present = arch::online_cpu_count() - 1;
    std::memset(op.vendor_id, 0, sizeof op.vendor_id);
    op.family = op.model = op.stepping = 0;
    if (op.xen_cpuid >= max_cpus || !smp::online().test(CpuId(op.xen_cpuid))) return {};
    // All processors of the machine are alike.
    std::ranges::copy(arch::cpu_vendor_name(), op.vendor_id);
    op.family = arch::cpu_features.family;
    op.model = arch::cpu_features.model;
    op.stepping = arch::cpu_features.stepping;
    return {};
}

[[nodiscard]] Result<> platform_idle_time(xenpf_getidletime_t& op) {
    const auto bitmap = GUEST_HANDLE(op.cpumap_bitmap);
    const auto times = GUEST_HANDLE(op.idletime);
    const u32 cpus = std::min(op.cpumap_nr_cpus, max_cpus);
    op.now = clock::now();
    for (u32 first = 0; first < cpus; first += 8) {
        TRY_ASSIGN(wanted, bitmap.read(first / 8));
        u8 present = 0;
        for (u32 cpu = first; cpu < std::min(first + 8, cpus); ++cpu) {
            if (!((wanted >> (cpu - first)) & 1) || !smp::online().test(CpuId(cpu)) || !arch::percpu(CpuId(cpu)).idle)
                continue;
            present |= static_cast<u8>(1u << (cpu - first));
            const RunStateTimes t = scheduler::runstate_now(*arch::percpu(CpuId(cpu)).idle);
            TRY(times.write(t.total[static_cast<unsigned>(sched::RunState::running)], cpu));
        }
        TRY(bitmap.write(present, first / 8));
    }
    return {};
}

// ---- The rest ----

[[nodiscard]] Result<> set_time(u64 seconds, u32 nanoseconds, u64 system_time) {
    constexpr u32 second = 1'000'000'000;
    if (nanoseconds >= second) return fail(Errno::EINVAL);
    clock::set_wallclock(seconds, nanoseconds, system_time);
    time::update_all_wallclocks();
    return {};
}

/// S5 alone: dom0's interpreter has prepared the machine and says what to write. Sleeping is not supported.
[[nodiscard]] Result<> enter_sleep(const xenpf_enter_acpi_sleep_t& op) {
    constexpr u32 soft_off = 5;
    if (op.flags & ~u32{XENPF_ACPI_SLEEP_EXTENDED}) return fail(Errno::EINVAL);
    if (op.sleep_state != soft_off) return fail(Errno::EOPNOTSUPP);
    if (op.flags & XENPF_ACPI_SLEEP_EXTENDED) // hardware-reduced ACPI: no PM1 registers
        machine::power_off();
    machine::enter_s5(op.val_a, op.val_b);
}

/// The CPU stays as it is: CPUs are started at boot.
[[nodiscard]] Result<> change_cpu(const xenpf_cpu_ol_t& op, bool online) {
    if (op.cpuid >= max_cpus || !smp::online().test(CpuId(op.cpuid))) return fail(Errno::EINVAL);
    return online ? Result<>{} : fail(Errno::EOPNOTSUPP);
}

/// All cores are in use, always.
[[nodiscard]] Result<> park_cores(xenpf_core_parking_t& op) {
    switch (op.type) {
    case XEN_CORE_PARKING_GET: op.idle_nums = 0; return {};
    case XEN_CORE_PARKING_SET: return op.idle_nums == 0 ? Result<>{} : fail(Errno::EOPNOTSUPP);
    default: return fail(Errno::EINVAL);
    }
}

/// Frequencies and C-states are left alone; the _PDC bits stay as dom0 has them.
[[nodiscard]] Result<> take_power_info(const xenpf_set_processor_pminfo_t& op) {
    switch (op.type) {
    case XEN_PM_PDC: return {};
    case XEN_PM_CX:
    case XEN_PM_PX:
    case XEN_PM_TX: return fail(Errno::ENOSYS);
    default: return fail(Errno::EINVAL);
    }
}

/// /proc/xen/xensyms reads all symbols, one call for each.
[[nodiscard]] Result<> get_symbol(xenpf_symdata_t& op) {
    const u32 count = symbols::count();
    if (op.symnum > count) return fail(Errno::ERANGE);
    if (op.symnum == count) { // the end: the number does not advance
        op.namelen = 0;
        return {};
    }
    const symbols::Symbol symbol = symbols::at(op.symnum);
    const u32 length = static_cast<u32>(symbol.name.size());
    const auto name = GUEST_HANDLE(op.name);
    TRY(name.write_array({symbol.name.data(), std::min(length, op.namelen)}));
    if (length < op.namelen) TRY(name.write('\0', length));
    op.namelen = length;
    op.address = symbol.address;
    op.type = 't';
    ++op.symnum;
    return {};
}

[[nodiscard]] Result<> run(xen_platform_op_t& op) {
    TRY(may(xsm::Hook::platform_op, caller()));
    if (op.interface_version != XENPF_INTERFACE_VERSION) return fail(Errno::EACCES);
    switch (op.cmd) {
    case XENPF_settime32: return set_time(op.u.settime32.secs, op.u.settime32.nsecs, op.u.settime32.system_time);
    case XENPF_settime64:
        if (op.u.settime64.mbz != 0) return fail(Errno::EINVAL);
        return set_time(op.u.settime64.secs, op.u.settime64.nsecs, op.u.settime64.system_time);
    case XENPF_firmware_info: return platform_firmware_info(op.u.firmware_info);
    case XENPF_enter_acpi_sleep: return enter_sleep(op.u.enter_acpi_sleep);
    case XENPF_getidletime: return platform_idle_time(op.u.getidletime);
    case XENPF_get_cpuinfo: return platform_cpu_info(op.u.pcpu_info);
    case XENPF_get_cpu_version: return platform_cpu_version(op.u.pcpu_version);
    case XENPF_cpu_online: return change_cpu(op.u.cpu_ol, true);
    case XENPF_cpu_offline: return change_cpu(op.u.cpu_ol, false);
    case XENPF_core_parking: return park_cores(op.u.core_parking);
    case XENPF_set_processor_pminfo: return take_power_info(op.u.set_pminfo);
    case XENPF_get_symbol: return get_symbol(op.u.symdata);
    case XENPF_platform_quirk: return {}; // hints for chipsets older than x86-64
    case XENPF_resource_op:
    case XENPF_microcode_update:
    case XENPF_cpu_hotadd:
    case XENPF_mem_hotadd:
    case XENPF_efi_runtime_call: return fail(Errno::EOPNOTSUPP);
    default: return fail(Errno::ENOSYS); // memory types (MTRRs) and frequencies are not dom0's
    }
}

} // namespace

Return platform_op(RawHandle arg) { return on_copy(arg, run); }

} // namespace streak::hypercall
