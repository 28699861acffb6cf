// SPDX-License-Identifier: GPL-2.0-only
#include "domain/domain.hpp"
#include "domain/trace.hpp"

// Records of scheduling: TRC_SCHED_* (xen/trace.h). Times are the low halves of nanoseconds.

namespace streak::trace {

namespace {

struct Name {
    u32 domain, vcpu;
};

Name name_of(const Vcpu& v) {
    if (v.is_idle()) return {idle_id.raw(), v.sched.cpu.load()};
    return {v.domain->id.raw(), v.id.raw()};
}

u32 since(u64 then, u64 now) { return static_cast<u32>(now - then); }

void changes(const Vcpu& v, sched::RunState to) {
    const auto number = [](sched::RunState state) { return static_cast<u32>(state); };
    const sched::RunState from = v.sched.runstate.state;
    const Name name = name_of(v);
    record(TRC_SCHED_RUNSTATE_CHANGE | number(from) << 8 | number(to) << 4, {name.domain << 16 | name.vcpu});
}

} // namespace

void switches(const Vcpu& from, const Vcpu& to, u64 now, u64 choose_again) {
    const Name left = name_of(from), entered = name_of(to);
    const u64 ran_since = from.sched.runstate.entered, waited_since = to.sched.runstate.entered;
    if (!from.is_idle()) changes(from, from.sched.state.classify(false, from.domain->pause_count.load() != 0));
    if (!to.is_idle()) changes(to, sched::RunState::running);
    record(TRC_SCHED_SWITCH_INFPREV, {left.domain, left.vcpu, since(ran_since, now)});
    record(TRC_SCHED_SWITCH_INFNEXT,
           {entered.domain, entered.vcpu, since(waited_since, now), since(now, choose_again)});
    record(TRC_SCHED_SWITCH, {left.domain, left.vcpu, entered.domain, entered.vcpu});
}

void becomes_runnable(const Vcpu& v) {
    if (v.sched.runstate.state == sched::RunState::runnable) return; // it only changes its CPU
    const Name name = name_of(v);
    record(TRC_SCHED_WAKE, {name.domain, name.vcpu});
    changes(v, sched::RunState::runnable);
}

void blocks(const Vcpu& v) {
    const Name name = name_of(v);
    record(TRC_SCHED_BLOCK, {name.domain, name.vcpu});
}

} // namespace streak::trace
