// SPDX-License-Identifier: GPL-2.0-only
#include "pv/exit_work.hpp"

#include "arch/cpu.hpp"
#include "arch/handlers.hpp"
#include "arch/nmi.hpp"
#include "arch/smp.hpp"
#include "domain/scheduler.hpp"
#include "pv/trap_bounce.hpp"

// The slow way out: taken when a work bit or an exit reason was seen. entry.S looks again afterwards, and then
// for events, so nothing that is raised in here is missed.

namespace streak::pv {

namespace {

using ConsoleWork = void (*)();
constinit ConsoleWork console_work = nullptr;

bool asks(u32 work, arch::Work what) { return (work & static_cast<u32>(what)) != 0; }

/// A hardware NMI was passed on: its reasons, and an NMI of its own for dom0's first vCPU (xen/nmi.h).
void pass_on_nmi() {
    Domain* d = dom0();
    if (!d) return;
    __atomic_fetch_or(&d->shared_info->arch.nmi_reason, nmi::take_reasons(), __ATOMIC_SEQ_CST);
    d->vcpus[0]->exit_work.fetch_or(static_cast<u8>(ExitWork::nmi));
    kick(*d->vcpus[0]);
}

[[gnu::cold, gnu::noinline]] void serve_rare(u32 work) {
    if (asks(work, arch::Work::nmi)) pass_on_nmi();
    if (asks(work, arch::Work::custom)) smp::serve_remote_call();
    if (asks(work, arch::Work::console) && console_work != nullptr) console_work();
    if (asks(work, arch::Work::trace)) send_global_virq(VIRQ_TBUF);
}

void serve(u32 work) {
    constexpr u32 often = static_cast<u32>(arch::Work::timer) | static_cast<u32>(arch::Work::schedule);
    if (unlikely(work & ~often)) serve_rare(work);
    if (asks(work, arch::Work::timer)) timers::run_due();
    if (asks(work, arch::Work::schedule)) scheduler::schedule();
}

void serve_exit_reasons(Vcpu& v) {
    constexpr u8 nmi = static_cast<u8>(ExitWork::nmi), crashed = static_cast<u8>(ExitWork::crashed);
    const u8 reasons = v.exit_work.load();
    if ((reasons & crashed) != 0) {
        arch::raise_local_work(arch::Work::schedule); // its domain is paused: another one runs
        return;
    }
    if ((reasons & nmi) != 0) {
        v.exit_work.fetch_and(static_cast<u8>(~nmi));
        deliver_nmi(v);
    }
    v.exit_work.fetch_and(static_cast<u8>(nmi | crashed)); // nothing is done for the other reasons
}

} // namespace

void set_console_work(void (*function)()) { console_work = function; }

} // namespace streak::pv

extern "C" void handle_exit_work() {
    using namespace streak;
    arch::PerCpu& cpu = arch::this_cpu();
    while (const u32 work = cpu.work.exchange(0)) pv::serve(work);

    Vcpu& v = current_after_switch();
    if (!v.is_idle() && v.exit_work.load() != 0) pv::serve_exit_reasons(v);
}

extern "C" void idle_loop() { streak::arch::idle_halt(); }
