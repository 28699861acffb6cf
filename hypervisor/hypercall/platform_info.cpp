// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/platform_op.hpp"

#include <cstring>

#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/efi.hpp"
#include "arch/smp.hpp"
#include "domain/scheduler.hpp"

// What platform_op tells of firmware and processors.

namespace streak::hypercall {

namespace {

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

} // namespace

Result<> platform_firmware_info(xenpf_firmware_info_t& op) {
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

Result<> platform_cpu_info(xenpf_pcpuinfo_t& op) {
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

Result<> platform_cpu_version(xenpf_pcpu_version_t& op) {
    op.max_present = arch::online_cpu_count() - 1;
    std::memset(op.vendor_id, 0, sizeof op.vendor_id);
    op.family = op.model = op.stepping = 0;
    if (op.xen_cpuid >= max_cpus || !smp::online().test(CpuId(op.xen_cpuid))) return {};
    // All processors of the machine are alike.
    const arch::CpuidLeaf leaf = arch::cpuid(0);
    const u32 text[] = {leaf.ebx, leaf.edx, leaf.ecx};
    static_assert(sizeof text == sizeof op.vendor_id);
    std::memcpy(op.vendor_id, text, sizeof text);
    op.family = arch::cpu_features.family;
    op.model = arch::cpu_features.model;
    op.stepping = arch::cpu_features.stepping;
    return {};
}

Result<> platform_idle_time(xenpf_getidletime_t& op) {
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

} // namespace streak::hypercall
