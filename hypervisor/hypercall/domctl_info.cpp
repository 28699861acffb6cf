// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "arch/cpu.hpp"
#include "domain/scheduler.hpp"
#include "hypercall/domctl.hpp"

// DOMCTL: reports.

namespace streak::hypercall {

namespace {

[[nodiscard]] u32 state_flags(const Domain& d, bool running, bool blocked) {
    u32 flags = d.shutdown_code << XEN_DOMINF_shutdownshift;
    if (d.dying) flags |= XEN_DOMINF_dying;
    if (d.shutting_down) flags |= XEN_DOMINF_shutdown;
    if (d.tool_pauses != 0) flags |= XEN_DOMINF_paused;
    if (running) return flags | XEN_DOMINF_running;
    return blocked ? flags | XEN_DOMINF_blocked : flags;
}

/// The ABI's word for one frame: its number, and what kind of page table it is.
[[nodiscard]] u64 type_of_frame(const Domain& d, Mfn mfn) {
    constexpr u64 not_its = XEN_DOMCTL_PFINFO_XTAB;
    mm::PageInfo* page = mm::page_of(mfn);
    if (!page || !mm::get_page(*page, d.id)) return not_its;
    const u64 word = page->type.load();
    mm::put_page(*page);
    const auto type = mm::type_bits::type(word);
    const bool table = type >= mm::PageType::l1 && type <= mm::PageType::l4;
    const u64 kind = table ? u64(type) << XEN_DOMCTL_PFINFO_LTAB_SHIFT : 0;
    return table && (word & mm::type_bits::pinned) ? kind | XEN_DOMCTL_PFINFO_LPINTAB : kind;
}

} // namespace

xen_domctl_getdomaininfo_t describe(Domain& d) {
    xen_domctl_getdomaininfo_t info{};
    bool running = false, blocked = true;
    for (u32 i = 0; i < d.max_vcpus; ++i) {
        const Vcpu& v = *d.vcpus[i];
        info.max_vcpu_id = i;
        if (!v.sched.state.is_up()) continue;
        ++info.nr_online_vcpus;
        running |= v.sched.runstate.state == sched::RunState::running;
        blocked &= v.sched.state.asleep();
    }
    info.domain = d.id.raw();
    info.flags = state_flags(d, running, blocked && info.nr_online_vcpus != 0);
    info.tot_pages = d.pages.total;
    info.max_pages = d.pages.max;
    info.outstanding_pages = d.pages.claim;
    info.shared_info_frame = to_mfn(arch::direct_map_maddr(d.shared_info)).raw();
    info.cpu_time = scheduler::cpu_time(d);
    info.ssidref = d.subject.sid;
    std::memcpy(info.handle, d.handle, sizeof info.handle);
    info.gpaddr_bits = static_cast<u8>(arch::cpu_features.physical_address_bits);
    return info;
}

Result<> domctl_get_info(Domain& d, xen_domctl_t& op) {
    op.u.getdomaininfo = describe(d);
    op.domain = d.id.raw();
    return {};
}

Result<> domctl_get_vcpu_info(Domain& d, xen_domctl_t& op) {
    auto& info = op.u.getvcpuinfo;
    if (info.vcpu >= d.max_vcpus) return fail(Errno::EINVAL);
    Vcpu& v = *d.vcpus[info.vcpu];
    const RunStateTimes times = scheduler::runstate_now(v);
    info.online = v.sched.state.is_up();
    info.blocked = v.sched.state.asleep();
    info.running = times.state == sched::RunState::running;
    info.cpu_time = times.total[static_cast<unsigned>(sched::RunState::running)];
    info.cpu = v.sched.cpu.load();
    return {};
}

/// Each frame number of the array becomes the frame's kind. E2BIG: more than 1024.
Result<> domctl_page_types(Domain& d, xen_domctl_t& op) {
    constexpr u64 most = 1024;
    auto& request = op.u.getpageframeinfo3;
    if (&d == &caller()) return fail(Errno::EINVAL);
    if (request.num > most) return fail(Errno::E2BIG);
    const auto frames = GUEST_HANDLE(request.array);
    for (u64 i = 0; i < request.num; ++i) {
        TRY_ASSIGN(frame, frames.read(i));
        TRY(frames.write(type_of_frame(d, Mfn(frame)), i));
    }
    return {};
}

} // namespace streak::hypercall
