// SPDX-License-Identifier: GPL-2.0-only
#include "domain/time.hpp"

#include "arch/clock.hpp"
#include "arch/tlb.hpp"
#include "arch/uaccess.hpp"

namespace streak::time {

namespace {

/// One member of an ABI structure in guest-visible memory, stored once and in program order.
template <class T> void publish(T& member, T value) {
    std::atomic_ref<T>(member).store(value, std::memory_order_release);
}

/// Runs `f` with the vCPU's kernel tables loaded: registered addresses belong to the guest's kernel.
template <class F> void with_kernel_tables(const Vcpu& vcpu, F&& f) {
    const bool other = vcpu.in_kernel == 0 && vcpu.root_user != vcpu.root_kernel;
    if (other) tlb::load_cr3(vcpu.root_kernel);
    f();
    if (other) tlb::load_cr3(vcpu.root_user);
}

/// The record a guest reads without a hypercall: odd versions while it changes (xen/xen.h, vcpu_time_info).
void fill(vcpu_time_info_t& info, const clock::Stamp& at) {
    const clock::Scale scale = clock::tsc_scale();
    const u32 version = info.version | 1;
    publish(info.version, version);
    publish(info.tsc_timestamp, at.tsc);
    publish(info.system_time, at.system_time);
    publish(info.tsc_to_system_mul, scale.mul);
    info.tsc_shift = scale.shift;
    info.flags = clock::tsc_is_stable() ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
    publish(info.version, version + 1);
}

/// The secondary copy lies in guest virtual memory: the same protocol by three copies.
void copy_time(Vcpu& vcpu, vcpu_time_info_t info) {
    const Vaddr at(vcpu.sched.time_area);
    const u32 version = info.version;
    info.version = version - 1;
    with_kernel_tables(vcpu, [&] {
        (void)(arch::copy_to_guest(at, &info.version, sizeof info.version) &&
               arch::copy_to_guest(at, &info, sizeof info) && arch::copy_to_guest(at, &version, sizeof version));
    });
}

void timer_event(Vcpu& vcpu) { send_virq(vcpu, VIRQ_TIMER); }

void periodic_due(void* context) {
    Vcpu& vcpu = *static_cast<Vcpu*>(context);
    VcpuSched& s = vcpu.sched;
    if (s.period == 0) return;
    timer_event(vcpu);
    // From the planned moment, so that it does not drift; periods missed while paused are dropped.
    const u64 now = clock::now();
    s.period_last += s.period;
    if (s.period_last + s.period <= now) s.period_last = now;
    timers::set(s.periodic, s.period_last + s.period);
}

void singleshot_due(void* context) { timer_event(*static_cast<Vcpu*>(context)); }

void poll_due(void* context) {
    Vcpu& vcpu = *static_cast<Vcpu*>(context);
    if (vcpu.sched.state.polling()) kick(vcpu);
}

} // namespace

void update_vcpu_time(Vcpu& vcpu) {
    const clock::Stamp at = clock::stamp();
    fill(vcpu.info->time, at);
    if (vcpu.sched.time_area != 0 && &vcpu == &current()) copy_time(vcpu, vcpu.info->time);
}

void update_wallclock(Domain& domain) {
    const clock::Wallclock wall = clock::wallclock();
    const u64 seconds = wall.sec + domain.time_offset_seconds;
    shared_info_t& shared = *domain.shared_info;
    const u32 version = shared.wc_version | 1;
    publish(shared.wc_version, version);
    publish(shared.wc_sec, static_cast<u32>(seconds));
    publish(shared.wc_sec_hi, static_cast<u32>(seconds >> 32));
    publish(shared.wc_nsec, wall.nsec);
    publish(shared.wc_version, version + 1);
}

void update_all_wallclocks() { for_each_domain(update_wallclock); }

vcpu_runstate_info_t as_abi(const RunStateTimes& times) {
    vcpu_runstate_info_t info{};
    info.state = static_cast<int>(times.state);
    info.state_entry_time = times.entered;
    for (unsigned i = 0; i < 4; ++i) info.time[i] = times.total[i];
    return info;
}

void write_runstate_area(Vcpu& vcpu, const RunStateTimes& times) {
    if (vcpu.sched.runstate_area == 0) return;
    vcpu_runstate_info_t info = as_abi(times);
    const Vaddr at(vcpu.sched.runstate_area);
    const Vaddr entry_time = at + offsetof(vcpu_runstate_info_t, state_entry_time);
    const bool flagged = (vcpu.domain->vm_assist & (1ull << VMASST_TYPE_runstate_update_flag)) != 0;
    with_kernel_tables(vcpu, [&] {
        if (!flagged) {
            (void)arch::copy_to_guest(at, &info, sizeof info);
            return;
        }
        // The flag is set before anything changes and cleared after all has (xen/vcpu.h, XEN_RUNSTATE_UPDATE).
        info.state_entry_time |= XEN_RUNSTATE_UPDATE;
        (void)(arch::copy_to_guest(entry_time, &info.state_entry_time, sizeof info.state_entry_time) &&
               arch::copy_to_guest(at, &info, sizeof info));
        info.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
        (void)arch::copy_to_guest(entry_time, &info.state_entry_time, sizeof info.state_entry_time);
    });
}

void set_runstate_area(Vcpu& vcpu, u64 address) {
    vcpu.sched.runstate_area = address;
    if (&vcpu == &current()) write_runstate_area(vcpu, vcpu.sched.runstate);
}

void set_time_area(Vcpu& vcpu, u64 address) {
    vcpu.sched.time_area = address;
    update_vcpu_time(vcpu);
}

void init_timers(Vcpu& vcpu) {
    vcpu.sched.periodic.function = periodic_due;
    vcpu.sched.singleshot.function = singleshot_due;
    vcpu.sched.poll.function = poll_due;
    for (Timer* timer : {&vcpu.sched.periodic, &vcpu.sched.singleshot, &vcpu.sched.poll}) timer->context = &vcpu;
    // What the guest finds before its vCPU has run for the first time.
    fill(vcpu.info->time, clock::stamp());
}

void stop_timers(Vcpu& vcpu) {
    vcpu.sched.period = 0;
    timers::stop(vcpu.sched.periodic);
    timers::stop(vcpu.sched.singleshot);
    timers::stop(vcpu.sched.poll);
}

void set_periodic(Vcpu& vcpu, u64 period) {
    vcpu.sched.period = period;
    if (period == 0) {
        timers::stop(vcpu.sched.periodic);
        return;
    }
    vcpu.sched.period_last = clock::now();
    timers::set(vcpu.sched.periodic, vcpu.sched.period_last + period);
}

void set_singleshot(Vcpu& vcpu, u64 deadline) { timers::set(vcpu.sched.singleshot, deadline); }
void stop_singleshot(Vcpu& vcpu) { timers::stop(vcpu.sched.singleshot); }

} // namespace streak::time
