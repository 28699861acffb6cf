// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "arch/cpu.hpp"
#include "arch/fpu.hpp"
#include "domain/scheduler.hpp"
#include "hypercall/cpu_policy.hpp"
#include "hypercall/domctl.hpp"
#include "pv/context.hpp"

// DOMCTL: the state of vCPUs, as builders write it and migration moves it.

namespace streak::hypercall {

namespace {

using scheduler::Stopped;
using Context = vcpu_guest_context_t;

[[nodiscard]] mm::Owned<Context> make_context() { return mm::make_owned<Context>(); } // too large for the stack

/// The buffer of getvcpuextstate: XCR0, what it has ever been, and the area in the standard format.
struct XstateHeader {
    u64 xcr0, xcr0_accumulated;
};

[[nodiscard]] u64 xstate_bytes() {
    return arch::cpu_features.xsave ? sizeof(XstateHeader) + arch::fpu_area_bytes() : 0;
}

} // namespace

/// A null pointer puts the vCPU back to what it was before its first context. EINVAL, EOPNOTSUPP: pv::set_context().
Result<> domctl_set_context(Domain& d, xen_domctl_t& op) {
    TRY_ASSIGN(vcpu, vcpu_of_other(d, op.u.vcpucontext.vcpu));
    const auto from = GUEST_HANDLE(op.u.vcpucontext.ctxt);
    const auto context = make_context();
    if (!context) return fail(Errno::ENOMEM);
    const Stopped stopped(d);
    LockGuard guard(d.context_lock);
    if (from.is_null()) {
        vcpu->initialised = false;
        scheduler::take_down(*vcpu);
        return {};
    }
    TRY(from.read_array({context.get(), 1}));
    TRY(pv::set_context(*vcpu, *context));
    vcpu->initialised = true;
    if ((context->flags & VGCF_online) != 0) scheduler::bring_up(*vcpu);
    else scheduler::take_down(*vcpu);
    return {};
}

/// ENODATA: the vCPU has no state yet.
Result<> domctl_get_context(Domain& d, xen_domctl_t& op) {
    TRY_ASSIGN(vcpu, vcpu_of_other(d, op.u.vcpucontext.vcpu));
    if (!vcpu->initialised) return fail(Errno::ENODATA);
    const auto context = make_context();
    if (!context) return fail(Errno::ENOMEM);
    {
        const Stopped stopped(d);
        pv::get_context(*vcpu, *context);
    }
    return GUEST_HANDLE(op.u.vcpucontext.ctxt).write_array({context.get(), 1});
}

Result<> domctl_set_ext_context(Domain& d, xen_domctl_t& op) {
    const auto& ext = op.u.ext_vcpucontext;
    TRY_ASSIGN(vcpu, vcpu_of_other(d, ext.vcpu, Errno::ESRCH));
    constexpr u32 without_mcg_cap = offsetof(xen_domctl_ext_vcpucontext, mcg_cap);
    if (ext.size < without_mcg_cap || !arch::is_canonical(ext.syscall32_callback_eip) ||
        !arch::is_canonical(ext.sysenter_callback_eip))
        return fail(Errno::EINVAL);
    const Stopped stopped(d);
    vcpu->pv.syscall32 = {ext.syscall32_callback_eip, ext.syscall32_disables_events != 0};
    vcpu->pv.sysenter = {ext.sysenter_callback_eip, ext.sysenter_disables_events != 0};
    return {};
}

Result<> domctl_get_ext_context(Domain& d, xen_domctl_t& op) {
    auto& ext = op.u.ext_vcpucontext;
    TRY_ASSIGN(vcpu, vcpu_of_other(d, ext.vcpu, Errno::ESRCH));
    const Stopped stopped(d);
    const u32 id = ext.vcpu;
    std::memset(&ext, 0, sizeof ext);
    ext.vcpu = id;
    ext.size = sizeof ext;
    ext.syscall32_callback_eip = vcpu->pv.syscall32.address;
    ext.sysenter_callback_eip = vcpu->pv.sysenter.address;
    ext.syscall32_callback_cs = ext.sysenter_callback_cs = FLAT_KERNEL_CS;
    ext.syscall32_disables_events = vcpu->pv.syscall32.masks_events;
    ext.sysenter_disables_events = vcpu->pv.sysenter.masks_events;
    return {};
}

/// EOPNOTSUPP: a feature that this processor lacks; EINVAL: not what getvcpuextstate writes. What the processor refuses
/// of the area itself becomes the initial state when it is loaded.
Result<> domctl_set_xstate(Domain& d, xen_domctl_t& op) {
    const auto& request = op.u.vcpuextstate;
    TRY_ASSIGN(vcpu, vcpu_of_other(d, request.vcpu, Errno::ESRCH));
    const GuestHandle<u8> from(reinterpret_cast<u64>(request.buffer.p));
    if (request.size == 0) return {}; // the source had no XSAVE
    constexpr u64 smallest = sizeof(XstateHeader) + 512 + 64;
    if (request.size < smallest || request.size > xstate_bytes()) return fail(Errno::EINVAL);
    TRY_ASSIGN(header, from.as<XstateHeader>().read());
    if (!arch::xcr0_valid(header.xcr0)) return fail(Errno::EOPNOTSUPP);
    const Stopped stopped(d);
    arch::fpu_init_area(vcpu->fpu);
    TRY(from.read_array({static_cast<u8*>(vcpu->fpu), request.size - sizeof header}, sizeof header));
    vcpu->pv.xcr0 = header.xcr0;
    return {};
}

/// With size 0 tells the size and the features. EINVAL: the buffer has another size.
Result<> domctl_get_xstate(Domain& d, xen_domctl_t& op) {
    auto& request = op.u.vcpuextstate;
    TRY_ASSIGN(vcpu, vcpu_of_other(d, request.vcpu, Errno::ESRCH));
    const GuestHandle<u8> to(reinterpret_cast<u64>(request.buffer.p));
    if (request.size == 0) {
        request.size = xstate_bytes();
        request.xfeature_mask = arch::cpu_features.xcr0;
        return {};
    }
    if (request.size != xstate_bytes() || request.xfeature_mask != arch::cpu_features.xcr0) return fail(Errno::EINVAL);
    const Stopped stopped(d);
    const u64 all = arch::cpu_features.xcr0;
    TRY(to.as<XstateHeader>().write({.xcr0 = vcpu->pv.xcr0, .xcr0_accumulated = all}));
    return to.write_array({static_cast<const u8*>(vcpu->fpu), arch::fpu_area_bytes()}, sizeof(XstateHeader));
}

// The MSRs that go with a vCPU: TSC_AUX alone, everything else is in the contexts above.

namespace {
constexpr u32 msr_tsc_aux = 0xc0000103;
}

/// ENOBUFS: more MSRs than room; the count says how many.
Result<> domctl_get_msrs(Domain& d, xen_domctl_t& op) {
    auto& request = op.u.vcpu_msrs;
    TRY_ASSIGN(vcpu, vcpu_of_other(d, request.vcpu));
    const auto list = GUEST_HANDLE(request.msrs);
    const u32 room = std::exchange(request.msr_count, 1);
    if (list.is_null()) return {};
    const u64 value = vcpu->pv.tsc_aux;
    if (value == 0) {
        request.msr_count = 0;
        return {};
    }
    if (room < 1) return fail(Errno::ENOBUFS);
    return list.write({.index = msr_tsc_aux, .reserved = 0, .value = value});
}

/// EINVAL: an MSR that is not a vCPU's; the count says how many were taken before.
Result<> domctl_set_msrs(Domain& d, xen_domctl_t& op) {
    auto& request = op.u.vcpu_msrs;
    TRY_ASSIGN(vcpu, vcpu_of_other(d, request.vcpu));
    constexpr u32 most = 64;
    const u32 count = std::min(request.msr_count, most);
    const Stopped stopped(d);
    for (u32 i = 0; i < count; ++i) {
        TRY_ASSIGN(entry, GUEST_HANDLE(request.msrs).read(i));
        const bool known = entry.index == msr_tsc_aux && entry.reserved == 0 && entry.value >> 32 == 0;
        if (!known) {
            request.msr_count = i;
            return fail(Errno::EINVAL);
        }
        vcpu->pv.tsc_aux = entry.value;
    }
    return {};
}

Result<> domctl_get_cpu_policy(Domain& d, xen_domctl_t& op) {
    auto& p = op.u.cpu_policy;
    return write_policy(d.features, p.nr_leaves, GUEST_HANDLE(p.leaves), p.nr_msrs, GUEST_HANDLE(p.msrs));
}

/// Features that the policy leaves out are hidden from the domain; nothing can be added. EEXIST: it has run already.
Result<> domctl_set_cpu_policy(Domain& d, xen_domctl_t& op) {
    auto& p = op.u.cpu_policy;
    p.err_leaf = p.err_subleaf = p.err_msr = ~0u;
    if (&d == &caller()) return fail(Errno::EINVAL);
    if (d.vcpus[0]->initialised) return fail(Errno::EEXIST);
    TRY_ASSIGN(features, read_policy(p.nr_leaves, GUEST_HANDLE(p.leaves)));
    d.features = features;
    return {};
}

} // namespace streak::hypercall
