// SPDX-License-Identifier: GPL-2.0-only
#include "arch/cpu.hpp"
#include "hypercall/handlers.hpp"

// XEN_MC_* of xen/arch-x86/xen-mca.h. A machine check ends the machine, so there is never anything to fetch; dom0's
// logger is told of the processors and then waits for a VIRQ_MCA that does not come.

namespace streak::hypercall {

namespace {

[[nodiscard]] Result<> fetch(xen_mc_fetch_t& op) {
    const u32 kind = op.flags & (XEN_MC_NONURGENT | XEN_MC_URGENT);
    if (kind != XEN_MC_NONURGENT && kind != XEN_MC_URGENT) return fail(Errno::EINVAL);
    const bool acknowledge = op.flags & XEN_MC_ACK;
    op.flags = acknowledge ? XEN_MC_OK : XEN_MC_NODATA;
    op.fetch_id = 0;
    return {};
}

[[nodiscard]] xen_mc_logical_cpu_t describe(CpuId cpu) {
    const arch::CpuFeatures& f = arch::cpu_features;
    xen_mc_logical_cpu_t c{};
    c.mc_cpunr = cpu.raw();
    c.mc_apicid = arch::percpu(cpu).apic_id.raw();
    c.mc_chipid = c.mc_apicid; // no topology is kept: each processor passes for a package
    c.mc_ncores = c.mc_ncores_active = c.mc_nthreads = 1;
    c.mc_cpuid_level = static_cast<i32>(f.max_leaf);
    c.mc_family = f.family;
    c.mc_model = f.model;
    c.mc_step = f.stepping;
    std::ranges::copy(arch::cpu_vendor_name(), c.mc_vendorid);
    const arch::CpuidLeaf basic = arch::cpuid(1);
    c.mc_cpu_caps[MC_CAPS_STD_EDX] = basic.edx;
    c.mc_cpu_caps[MC_CAPS_STD_ECX] = basic.ecx;
    c.mc_cache_alignment = 64;
    return c;
}

[[nodiscard]] Result<> list_cpus(xen_mc_physcpuinfo_t& op) {
    const u32 online = arch::online_cpu_count();
    const auto list = GUEST_HANDLE(op.info);
    if (!list.is_null()) {
        const u32 count = std::min(op.ncpus, online);
        for (u32 i = 0; i < count; ++i) TRY(list.write(describe(CpuId(i)), i));
    }
    op.ncpus = online;
    return {};
}

[[nodiscard]] Result<> run(xen_mc_t& op) {
    if (op.interface_version != XEN_MCA_INTERFACE_VERSION) return fail(Errno::EACCES);
    switch (op.cmd) {
    case XEN_MC_fetch: return fetch(op.u.mc_fetch);
    case XEN_MC_physcpuinfo: return list_cpus(op.u.mc_physcpuinfo);
    case XEN_MC_notifydomain:
    case XEN_MC_msrinject:
    case XEN_MC_mceinject:
    case XEN_MC_inject_v2: return fail(Errno::EOPNOTSUPP);
    default: return fail(Errno::EINVAL);
    }
}

} // namespace

Return machine_check_op(RawHandle arg) {
    TRY(may(xsm::Hook::machine_check, caller()));
    return on_copy(arg, run);
}

} // namespace streak::hypercall
