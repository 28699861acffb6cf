// SPDX-License-Identifier: GPL-2.0-only
#include "domain/trace.hpp"

#include "arch/clock.hpp"
#include "domain/domain.hpp"

namespace streak::trace {

constinit std::array<Ring, max_cpus> rings{};
constinit u32 events = TRC_ALL;
constinit bool on = false;

void record(u32 event, std::span<const u32> words) {
    // Both the class and the subclass have to be asked for.
    const u32 wanted = event & events;
    if (wanted >> TRC_CLS_SHIFT == 0 || (wanted >> TRC_SUBCLS_SHIFT & 0xf) == 0) return;
    Ring& ring = rings[arch::cpu_id().raw()];
    if (!ring.silent && ring.put(event, clock::read_tsc(), words)) arch::raise_local_work(arch::Work::trace);
}

static u32 domain_of(const Vcpu& v) { return v.is_idle() ? idle_id.raw() : v.domain->id.raw(); }
static u32 number_of(const Vcpu& v) { return v.is_idle() ? v.sched.cpu.load() : v.id.raw(); }

void switches(const Vcpu& from, const Vcpu& to) {
    record(TRC_SCHED_SWITCH, std::array{domain_of(from), number_of(from), domain_of(to), number_of(to)});
}

void changes(const Vcpu& v, sched::RunState from, sched::RunState to) {
    using sched::RunState;
    const std::array name{domain_of(v), number_of(v)};
    if (from == to) return;
    record(TRC_SCHED_RUNSTATE_CHANGE | static_cast<u32>(from) << 8 | static_cast<u32>(to) << 4,
           std::array{name[0] << 16 | name[1]});
    if (to == RunState::blocked) record(TRC_SCHED_BLOCK, name);
    if (to == RunState::runnable && from != RunState::running) record(TRC_SCHED_WAKE, name);
}

} // namespace streak::trace
