// SPDX-License-Identifier: GPL-2.0-only
#include "domain/lifecycle.hpp"

#include <bit>

#include "arch/fpu.hpp"
#include "domain/grants.hpp"
#include "domain/notify.hpp"
#include "domain/pirq.hpp"
#include "domain/scheduler.hpp"
#include "domain/shutdown.hpp"
#include "domain/time.hpp"
#include "domain/vcpu_info.hpp"
#include "lib/log.hpp"
#include "mm/heap.hpp"
#include "mm/page_type.hpp"

namespace streak {

DomId caller_id() {
    const Vcpu& v = current();
    return v.is_idle() ? idle_id : v.domain->id;
}

namespace lifecycle {

namespace {

Result<> create_shared_info(Domain& d) {
    d.shared_info = static_cast<shared_info_t*>(mm::alloc_zeroed_pages(0));
    if (!d.shared_info) return fail(Errno::ENOMEM);
    mm::share_heap_page(d.shared_info, d.id, true);
    // Until a guest says otherwise every vCPU starts with events masked (xen/xen.h, vcpu_info).
    for (auto& info : d.shared_info->vcpu_info) info.evtchn_upcall_mask = 1;
    time::update_wallclock(d);
    return {};
}

/// Where a vCPU beyond the shared page's 32 keeps its vcpu_info until it registers one: nothing is ever seen there.
vcpu_info_t* first_info(Domain& d, u32 id) {
    static constinit vcpu_info_t nowhere{};
    return id < XEN_LEGACY_MAX_VCPUS ? &d.shared_info->vcpu_info[id] : &nowhere;
}

Result<> create_vcpu(Domain& d, u32 id) {
    auto vcpu = mm::make_owned<Vcpu>();
    if (!vcpu) return fail(Errno::ENOMEM);
    vcpu->id = VcpuId(id);
    vcpu->domain = &d;
    vcpu->info = first_info(d, id);
    vcpu->fpu = mm::allocate(arch::fpu_area_bytes()); // aligned to its size
    if (!vcpu->fpu) return fail(Errno::ENOMEM);
    arch::fpu_init_area(vcpu->fpu);
    scheduler::init_vcpu(*vcpu);
    time::init_timers(*vcpu);
    d.vcpus[id] = vcpu.release();
    return {};
}

void destroy_vcpu(Vcpu& v) {
    time::stop_timers(v);
    scheduler::destroy_vcpu(v);
    mm::deallocate(v.fpu, arch::fpu_area_bytes());
    mm::Owned<Vcpu>(&v).reset();
}

Result<> set_up(Domain& d, const NewDomain& wanted) {
    TRY(create_shared_info(d));
    TRY(events::create(d, wanted.max_evtchn_port));
    TRY(grants::create(d, wanted.max_grant_frames, wanted.max_maptrack_frames));
    TRY(pirqs::create(d));
    for (u32 id = 0; id < wanted.max_vcpus; ++id) TRY(create_vcpu(d, id));
    return enter_registry(d);
}

} // namespace

Result<Domain*> create(const NewDomain& wanted) {
    if (wanted.max_vcpus == 0 || wanted.max_vcpus > vcpu_limit) return fail(Errno::EINVAL);
    auto domain = mm::make_owned<Domain>();
    if (!domain) return fail(Errno::ENOMEM);
    Domain& d = *domain.release();
    d.id = wanted.id;
    d.privileged = wanted.privileged;
    d.subject = {.id = wanted.id, .privileged = wanted.privileged};
    d.max_vcpus = wanted.max_vcpus;
    d.pages.id = wanted.id;
    d.pages.max = wanted.max_frames;
    mm::register_account(d.id, &d.pages);
    scheduler::pause_nosync(d);
    if (auto done = set_up(d, wanted); !done) {
        free_domain(d);
        return fail(done.error());
    }
    return &d;
}

Result<> relinquish(Domain& d) {
    for (Vcpu* v : d.vcpus)
        if (v) unregister_vcpu_info(*v);
    TRY(events::relinquish(d));
    TRY(grants::relinquish(d));
    TRY(pirqs::relinquish(d));
    TRY(mm::relinquish_memory(d));
    leave_registry(d);
    return {};
}

void free_domain(Domain& d) {
    for (Vcpu* v : d.vcpus)
        if (v) destroy_vcpu(*v);
    pirqs::destroy(d);
    grants::destroy(d);
    events::destroy(d);
    if (d.shared_info) {
        // All of the guest's tables are gone, and with them every mapping of the page.
        if (mm::unshare_heap_page(d.shared_info))
            mm::free_pages(d.shared_info, 0);
        else
            log_error("d{}: its shared page is still mapped somewhere and stays allocated", d.id);
    }
    mm::register_account(d.id, nullptr);
    mm::Owned<Domain>(&d).reset();
}

} // namespace lifecycle

void crash_domain(Domain& d, const char* reason) {
    if (d.crashed.exchange(true)) return;
    const Vcpu& v = current();
    log_error("d{} crashed: {}", d.id, reason);
    if (v.domain == &d)
        log_error("d{}v{} rip {:#x} rsp {:#x} {} mode", d.id, v.id, v.regs.rip, v.regs.rsp,
                  v.in_kernel ? "kernel" : "user");
    shut_down(d, SHUTDOWN_crash);
}

} // namespace streak
