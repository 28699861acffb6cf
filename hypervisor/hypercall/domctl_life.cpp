// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "arch/clock.hpp"
#include "domain/lifecycle.hpp"
#include "domain/notify.hpp"
#include "domain/shutdown.hpp"
#include "domain/time.hpp"
#include "hypercall/domctl.hpp"
#include "pv/hypercall_page.hpp"

// DOMCTL: making, stopping and ending domains, and what is set once at their beginning.

namespace streak::hypercall {

namespace {

constexpr u32 default_grant_frames = 64, default_maptrack_frames = 1024;
constexpr u32 most_grant_frames = 4096, most_maptrack_frames = 65536;

[[nodiscard]] bool is_pv(const xen_domctl_createdomain& c) {
    return (c.flags & ~u32{XEN_DOMCTL_CDF_xs_domain}) == 0 && c.iommu_opts == 0 &&
           (c.arch.emulation_flags & ~u32{XEN_X86_EMU_PIT}) == 0 &&
           (c.arch.misc_flags & ~u32{XEN_X86_MSR_RELAXED}) == 0 && c.vmtrace_size == 0;
}

[[nodiscard]] u32 limit_or(i32 wanted, u32 usual) { return wanted < 0 ? usual : static_cast<u32>(wanted); }

} // namespace

/// EINVAL: not a PV guest, or a limit out of range; EEXIST: the id is in use; ESRCH: no such CPU pool.
Result<> domctl_create(xen_domctl_t& op) {
    const xen_domctl_createdomain& c = op.u.createdomain;
    const u32 grant_version = XEN_DOMCTL_GRANT_version(c.grant_opts);
    if (!is_pv(c) || grant_version < 1 || grant_version > 2 || (c.grant_opts & ~XEN_DOMCTL_GRANT_version_mask))
        return fail(Errno::EINVAL);
    if (c.cpupool_id != 0) return fail(Errno::ESRCH);
    const u32 grants = limit_or(c.max_grant_frames, default_grant_frames);
    const u32 maptrack = limit_or(c.max_maptrack_frames, default_maptrack_frames);
    if (grants == 0 || grants > most_grant_frames || maptrack > most_maptrack_frames) return fail(Errno::EINVAL);

    const bool chosen = op.domain > 0 && DomId(op.domain) < first_reserved_id;
    lifecycle::NewDomain wanted{.id = chosen ? DomId(op.domain) : invalid_domid,
                                .max_vcpus = c.max_vcpus,
                                .max_grant_frames = grants,
                                .max_maptrack_frames = maptrack,
                                .max_grant_version = grant_version,
                                .max_evtchn_port = c.max_evtchn_port,
                                .sid = c.ssidref};
    std::memcpy(wanted.handle, c.handle, sizeof wanted.handle);
    TRY_ASSIGN(domain, lifecycle::create(wanted));
    op.domain = domain->id.raw();
    return {};
}

Result<> domctl_destroy(Domain& d, xen_domctl_t&) {
    if (d.privileged) return fail(Errno::EINVAL);
    return lifecycle::destroy(d);
}

Result<> domctl_pause(Domain& d, xen_domctl_t&) {
    if (&d == &caller()) return fail(Errno::EINVAL);
    return lifecycle::pause(d);
}

Result<> domctl_unpause(Domain& d, xen_domctl_t&) { return lifecycle::unpause(d); }

Result<> domctl_resume(Domain& d, xen_domctl_t&) {
    if (&d == &caller()) return fail(Errno::EINVAL);
    resume(d);
    return {};
}

/// The vCPUs are there from the start; tools ask for what they told createdomain. EINVAL: another number.
Result<> domctl_max_vcpus(Domain& d, xen_domctl_t& op) {
    return &d != &caller() && op.u.max_vcpus.max == d.max_vcpus ? Result<>{} : fail(Errno::EINVAL);
}

/// Less than the domain has only stops it from growing.
Result<> domctl_max_mem(Domain& d, xen_domctl_t& op) {
    constexpr u64 kib_per_frame = page_size / 1024;
    LockGuard guard(d.pages.lock);
    if (!d.dying) d.pages.max = std::min<u64>(op.u.max_mem.max_memkb / kib_per_frame, ~0u);
    return {};
}

Result<> domctl_set_handle(Domain& d, xen_domctl_t& op) {
    std::memcpy(d.handle, op.u.setdomainhandle.handle, sizeof d.handle);
    return {};
}

/// `d` may serve one other domain (a driver or stub domain). EINVAL: it has one already, or itself.
Result<> domctl_set_target(Domain& d, xen_domctl_t& op) {
    TRY_ASSIGN(target, find_domain(DomId(op.u.set_target.target)));
    TRY(may(xsm::Hook::domctl_set_target, *target));
    if (target.get() == &d || d.subject.target != invalid_domid) return fail(Errno::EINVAL);
    d.subject.target = target->id;
    return {};
}

/// Guests have 64 bits. EINVAL: 32 wanted.
Result<> domctl_set_address_size(Domain&, xen_domctl_t& op) {
    return op.u.address_size.size == 64 ? Result<>{} : fail(Errno::EINVAL);
}

Result<> domctl_get_address_size(Domain&, xen_domctl_t& op) {
    op.u.address_size.size = 64;
    return {};
}

/// EACCES: not a frame that the domain may write.
Result<> domctl_hypercall_init(Domain& d, xen_domctl_t& op) {
    return pv::fill_hypercall_page(d, Mfn(op.u.hypercall_init.gmfn)) ? Result<>{} : fail(Errno::EACCES);
}

Result<> domctl_set_time_offset(Domain& d, xen_domctl_t& op) {
    d.time_offset_seconds = op.u.settimeoffset.time_offset_seconds;
    if (!d.dying) time::update_wallclock(d);
    return {};
}

/// Mode 1 makes RDTSC trap; the value is the processor's in all modes. EINVAL: the caller itself, or an unknown mode.
Result<> domctl_set_tsc_info(Domain& d, xen_domctl_t& op) {
    constexpr u32 last_mode = 2;
    if (&d == &caller() || op.u.tsc_info.tsc_mode > last_mode) return fail(Errno::EINVAL);
    d.tsc_mode = op.u.tsc_info.tsc_mode;
    d.tsc_incarnation = op.u.tsc_info.incarnation;
    return {};
}

Result<> domctl_get_tsc_info(Domain& d, xen_domctl_t& op) {
    op.u.tsc_info = {.tsc_mode = d.tsc_mode,
                     .gtsc_khz = static_cast<u32>(clock::tsc_khz()),
                     .incarnation = d.tsc_incarnation,
                     .pad = 0,
                     .elapsed_nsec = clock::now()};
    return {};
}

/// NMIs only: the others are for hardware-assisted guests.
Result<> domctl_send_trigger(Domain& d, xen_domctl_t& op) {
    if (op.u.sendtrigger.vcpu >= d.max_vcpus || !d.vcpus[op.u.sendtrigger.vcpu]) return fail(Errno::ESRCH);
    if (op.u.sendtrigger.trigger != XEN_DOMCTL_SENDTRIGGER_NMI) return fail(Errno::ENOSYS);
    Vcpu& v = *d.vcpus[op.u.sendtrigger.vcpu];
    v.exit_work.fetch_or(static_cast<u8>(ExitWork::nmi));
    kick(v);
    return {};
}

Result<> domctl_set_virq_handler(Domain& d, xen_domctl_t& op) {
    const u32 virq = op.u.set_virq_handler.virq;
    if (virq >= NR_VIRQS || !evtchn::is_global_virq(virq)) return fail(Errno::EINVAL);
    events::set_global_virq_handler(virq, d.id);
    return {};
}

} // namespace streak::hypercall
