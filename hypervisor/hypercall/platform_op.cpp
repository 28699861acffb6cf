// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/platform_op.hpp"

#include "arch/clock.hpp"
#include "arch/machine.hpp"
#include "arch/smp.hpp"
#include "domain/time.hpp"
#include "hypercall/handlers.hpp"
#include "lib/symbols.hpp"

// XENPF_* of xen/platform.h: what the control domain does with the machine itself.

namespace streak::hypercall {

namespace {

[[nodiscard]] Result<> set_time(u64 seconds, u32 nanoseconds, u64 system_time) {
    constexpr u32 second = 1'000'000'000;
    if (nanoseconds >= second) return fail(Errno::EINVAL);
    clock::set_wallclock(seconds, nanoseconds, system_time);
    time::update_all_wallclocks();
    return {};
}

[[nodiscard]] Result<> set_time_64(const xenpf_settime64_t& op) {
    if (op.mbz != 0) return fail(Errno::EINVAL);
    return set_time(op.secs, op.nsecs, op.system_time);
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
    case XENPF_settime64: return set_time_64(op.u.settime64);
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
