// SPDX-License-Identifier: GPL-2.0-only
#include "domain/lifecycle.hpp"

#include <cstring>

#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/fpu.hpp"
#include "domain/grants.hpp"
#include "domain/log_dirty.hpp"
#include "domain/notify.hpp"
#include "domain/pirq.hpp"
#include "domain/scheduler.hpp"
#include "domain/shutdown.hpp"
#include "domain/time.hpp"
#include "domain/vcpu_info.hpp"
#include "lib/log.hpp"
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

Result<> create_vcpus(Domain& d) {
    for (u32 id = 0; id < d.max_vcpus; ++id) {
        TRY(create_vcpu(d, id));
        if (!d.privileged) arch::interrupt_window(); // nobody knows the domain yet, no lock is held
    }
    return {};
}

Result<> set_up(Domain& d, const NewDomain& wanted) {
    TRY(create_shared_info(d));
    TRY(events::create(d, wanted.max_evtchn_port));
    TRY(grants::create(d, wanted.max_grant_frames, wanted.max_maptrack_frames));
    if (d.privileged) TRY(pirqs::create(d));
    return create_vcpus(d);
}

/// Returns what the domain holds, step by step. ERESTART: call again. Its vCPUs are stopped.
Result<> relinquish(Domain& d) {
    log_dirty::stop(d);
    d.for_each_vcpu(unregister_vcpu_info);
    TRY(events::relinquish(d));
    TRY(pirqs::relinquish(d));
    TRY(mm::relinquish_memory(d));
    return grants::relinquish(d); // a granter is told that its frame is free when no table leads there any more
}

/// Does somebody else still use frames of the domain, or those the hypervisor shows it?
bool frames_in_use(Domain& d) {
    {
        LockGuard guard(d.pages.lock); // who freed the last frame has left the account
        if (d.pages.total != 0) return true;
    }
    return mm::heap_page_in_use(d.shared_info) || grants::frames_in_use(d);
}

// The hypervisor's own pages, which others seldom map, are looked at now and then; the end of the rest is told.
constexpr u64 burial_interval_ns = 5'000'000;

void account_emptied(void* context) {
    Domain& d = *static_cast<Domain*>(context);
    if (d.dead) timers::set(d.burial, clock::now());
}

/// The id stays taken until no frame carries it any more: a successor must not own what others map of the dead.
void bury(void* context) {
    Domain& d = *static_cast<Domain*>(context);
    if (frames_in_use(d)) {
        timers::set(d.burial, clock::now() + burial_interval_ns);
        return;
    }
    if (d.buried.exchange(true)) return; // by another CPU
    mm::register_account(d.id, nullptr);
    release_id(d.id);
    send_global_virq(VIRQ_DOM_EXC);
    DomainRef{&d}; // the one that the domain has held itself
}

} // namespace

Result<Domain*> create(const NewDomain& wanted) {
    if (wanted.max_vcpus == 0 || wanted.max_vcpus > vcpu_limit) return fail(Errno::EINVAL);
    auto domain = mm::make_owned<Domain>();
    if (!domain) return fail(Errno::ENOMEM);
    TRY_ASSIGN(id, reserve_id(wanted.id));
    Domain& d = *domain.release();
    d.id = id;
    d.privileged = wanted.privileged;
    d.subject = {.id = id, .privileged = wanted.privileged, .sid = wanted.sid};
    std::memcpy(d.handle, wanted.handle, sizeof d.handle);
    d.max_vcpus = wanted.max_vcpus;
    d.max_grant_version = wanted.max_grant_version;
    d.pages.id = id;
    d.pages.max = wanted.max_frames;
    d.pages.emptied = account_emptied;
    d.pages.context = &d;
    d.burial.function = bury;
    d.burial.context = &d;
    mm::register_account(id, &d.pages);
    d.tool_pauses = d.pause_count = 1;
    const auto done = set_up(d, wanted);
    if (!done) {
        free_domain(d);
        mm::register_account(id, nullptr);
        release_id(id);
        return fail(done.error());
    }
    enter_registry(d);
    return &d;
}

Result<> destroy(Domain& d) {
    if (d.dead.load()) return {};
    if (d.being_relinquished.exchange(true)) return fail(Errno::ERESTART); // another CPU is at it
    if (!d.dying.exchange(true)) {
        mm::close_account(d.pages);
        scheduler::pause(d);
    }
    const auto done = relinquish(d);
    d.dead = done.has_value();
    d.being_relinquished = false;
    if (done) {
        send_global_virq(VIRQ_DOM_EXC); // who maps frames of the domain, such as its rings, is to let go of them
        bury(&d);
    }
    return done;
}

Result<> pause(Domain& d) {
    constexpr u32 limit = 255;
    u32 now = d.tool_pauses.load();
    do {
        if (now == limit) return fail(Errno::EBUSY);
    } while (!d.tool_pauses.compare_exchange_weak(now, now + 1));
    scheduler::pause(d);
    return {};
}

Result<> unpause(Domain& d) {
    u32 now = d.tool_pauses.load();
    do {
        if (now == 0) return fail(Errno::EINVAL);
    } while (!d.tool_pauses.compare_exchange_weak(now, now - 1));
    scheduler::unpause(d);
    return {};
}

void free_domain(Domain& d) {
    timers::stop(d.burial);
    d.for_each_vcpu(destroy_vcpu);
    pirqs::destroy(d);
    grants::destroy(d);
    events::destroy(d);
    if (d.shared_info) {
        // All of the guest's tables are gone, and with them every mapping of the page.
        if (mm::unshare_heap_page(d.shared_info)) mm::free_pages(d.shared_info, 0);
        else log_error("d{}: its shared page is still mapped somewhere and stays allocated", d.id);
    }
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
