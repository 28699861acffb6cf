// SPDX-License-Identifier: GPL-2.0-only

#include "arch/clock.hpp"
#include "arch/smp.hpp"
#include "domain/scheduler.hpp"
#include "domain/shutdown.hpp"
#include "domain/time.hpp"
#include "domain/vcpu_info.hpp"
#include "hypercall/handlers.hpp"
#include "pv/context.hpp"

// HYPERVISOR_vcpu_op (xen/vcpu.h): a domain's own vCPUs.

namespace streak::hypercall {

namespace {

constexpr u64 min_period_ns = 1'000'000, max_period_ns = 1ull << 60;

Return initialise(Vcpu& v, GuestHandle<vcpu_guest_context_t> arg) {
    // Beyond the shared page's vCPUs there is no place for events before one was registered.
    if (v.id.raw() >= XEN_LEGACY_MAX_VCPUS && v.info_page == nullptr) return fail(Errno::EINVAL);
    auto context = mm::make_owned<vcpu_guest_context_t>(); // 5 KiB are too much for the stack
    if (!context) return fail(Errno::ENOMEM);
    if (!arch::copy_from_guest(context.get(), arg.address(), sizeof *context)) return fail(Errno::EFAULT);
    LockGuard guard(v.domain->context_lock); // against the same call on another CPU
    if (v.initialised) return fail(Errno::EEXIST);
    TRY(pv::set_context(v, *context));
    v.initialised = true;
    if ((context->flags & VGCF_online) != 0) scheduler::bring_up(v);
    return 0;
}

Return up(Vcpu& v) {
    if (!v.initialised) return fail(Errno::EINVAL);
    scheduler::bring_up(v);
    return 0;
}

/// The last one to go takes the domain along.
Return down(Vcpu& v) {
    Domain& domain = *v.domain;
    for (u32 i = 0; i < domain.max_vcpus; ++i) {
        const Vcpu* other = domain.vcpus[i];
        if (other != nullptr && other != &v && other->sched.state.is_up()) {
            scheduler::take_down(v);
            return 0;
        }
    }
    shut_down(domain, SHUTDOWN_poweroff);
    return 0;
}

Return get_runstate_info(Vcpu& v, GuestHandle<vcpu_runstate_info_t> arg) {
    return answer(arg.write(time::as_abi(scheduler::runstate_now(v))));
}

Return register_runstate_area(Vcpu& v, GuestHandle<vcpu_register_runstate_memory_area_t> arg) {
    TRY_ASSIGN(area, arg.read());
    if (!arch::guest_range_ok(area.addr.p, sizeof(vcpu_runstate_info_t))) return fail(Errno::EFAULT);
    time::set_runstate_area(v, area.addr.p);
    if (&v != &current() && area.addr.p != 0)
        return get_runstate_info(v, GuestHandle<vcpu_runstate_info_t>(area.addr.p));
    return 0;
}

Return register_time_area(Vcpu& v, GuestHandle<vcpu_register_time_memory_area_t> arg) {
    TRY_ASSIGN(area, arg.read());
    if (!arch::guest_range_ok(area.addr.p, sizeof(vcpu_time_info_t))) return fail(Errno::EFAULT);
    time::set_time_area(v, area.addr.p);
    return 0;
}

Return set_periodic_timer(Vcpu& v, GuestHandle<vcpu_set_periodic_timer_t> arg) {
    TRY_ASSIGN(request, arg.read());
    if (request.period_ns < min_period_ns || request.period_ns > max_period_ns) return fail(Errno::EINVAL);
    time::set_periodic(v, request.period_ns);
    return 0;
}

Return set_singleshot_timer(Vcpu& v, GuestHandle<vcpu_set_singleshot_timer_t> arg) {
    if (&v != &current()) return fail(Errno::EINVAL);
    TRY_ASSIGN(request, arg.read());
    if ((request.flags & VCPU_SSHOTTMR_future) != 0 && request.timeout_abs_ns < clock::now()) return fail(Errno::ETIME);
    time::set_singleshot(v, request.timeout_abs_ns);
    return 0;
}

Return stop_singleshot_timer(Vcpu& v) {
    if (&v != &current()) return fail(Errno::EINVAL);
    time::stop_singleshot(v);
    return 0;
}

Return register_info(Vcpu& v, GuestHandle<vcpu_register_vcpu_info_t> arg) {
    TRY_ASSIGN(request, arg.read());
    LockGuard guard(v.domain->context_lock); // two vCPUs may ask for the same third one
    // Nobody may be using the old one: the vCPU itself asks, or it does not run.
    if (&v != &current() && v.sched.state.is_up()) return fail(Errno::EINVAL);
    return answer(register_vcpu_info(v, Mfn(request.mfn), request.offset));
}

/// The processor behind a vCPU of the control domain, when it is pinned to one.
Return get_physid(Vcpu& v, GuestHandle<vcpu_get_physid_t> arg) {
    if (!v.domain->privileged || v.sched.hard.count() != 1) return fail(Errno::EINVAL);
    CpuId cpu(v.sched.cpu.load());
    v.sched.hard.for_each([&](CpuId only) { cpu = only; });
    const u64 apic_id = arch::percpu(cpu).apic_id.raw();
    return answer(arg.write({.phys_id = apic_id | static_cast<u64>(smp::acpi_id_of(cpu)) << 32}));
}

Return send_nmi(Vcpu& v) {
    v.exit_work.fetch_or(static_cast<u8>(ExitWork::nmi));
    kick(v);
    return 0;
}

} // namespace

Return vcpu_op(i32 cmd, u32 vcpu, RawHandle arg) {
    Domain& domain = caller();
    TRY(may(xsm::Hook::vcpu_op, domain));
    if (vcpu >= domain.max_vcpus || domain.vcpus[vcpu] == nullptr) return fail(Errno::ENOENT);
    Vcpu& v = *domain.vcpus[vcpu];
    switch (cmd) {
    case VCPUOP_is_up: return v.sched.state.is_up() ? 1 : 0;
    case VCPUOP_initialise: return initialise(v, arg.as<vcpu_guest_context_t>());
    case VCPUOP_up: return up(v);
    case VCPUOP_down: return down(v);
    case VCPUOP_get_runstate_info: return get_runstate_info(v, arg.as<vcpu_runstate_info_t>());
    case VCPUOP_register_runstate_memory_area:
        return register_runstate_area(v, arg.as<vcpu_register_runstate_memory_area_t>());
    case VCPUOP_set_periodic_timer: return set_periodic_timer(v, arg.as<vcpu_set_periodic_timer_t>());
    case VCPUOP_stop_periodic_timer: time::set_periodic(v, 0); return 0;
    case VCPUOP_set_singleshot_timer: return set_singleshot_timer(v, arg.as<vcpu_set_singleshot_timer_t>());
    case VCPUOP_stop_singleshot_timer: return stop_singleshot_timer(v);
    case VCPUOP_register_vcpu_info: return register_info(v, arg.as<vcpu_register_vcpu_info_t>());
    case VCPUOP_send_nmi: return send_nmi(v);
    case VCPUOP_get_physid: return get_physid(v, arg.as<vcpu_get_physid_t>());
    case VCPUOP_register_vcpu_time_memory_area:
        return register_time_area(v, arg.as<vcpu_register_time_memory_area_t>());
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace streak::hypercall
