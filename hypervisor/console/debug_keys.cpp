// SPDX-License-Identifier: GPL-2.0-only

#include "arch/clock.hpp"
#include "arch/dump.hpp"
#include "arch/irq.hpp"
#include "arch/machine.hpp"
#include "arch/smp.hpp"
#include "console/console.hpp"
#include "domain/grants.hpp"
#include "domain/notify.hpp"
#include "domain/scheduler.hpp"
#include "lib/log.hpp"

namespace streak::console {

namespace {

struct DebugKey {
    char key;
    const char* meaning;
    void (*action)();
};
extern const std::array<DebugKey, 10> keys;

void print_help() {
    for (const DebugKey& k : keys) log_info("key '{}': {}", k.key, k.meaning);
}

const char* state_of(const Vcpu& v) {
    static constexpr const char* names[] = {"running", "runnable", "blocked", "offline"};
    return names[static_cast<unsigned>(v.sched.runstate.state)];
}

void print_domains() {
    for_each_domain([](Domain& d) {
        log_info("d{}: {} pages of {}, {} hypervisor pages shown, pauses {}{}{}", d.id, d.pages.total, d.pages.max,
                 d.pages.shared_heap, d.pause_count.load(), d.dying ? ", dying" : "",
                 d.shutting_down ? ", shut down" : "");
        for (const Vcpu* v : d.vcpus)
            if (v)
                log_info("  v{}: {} on CPU {}, {} mode, upcall pending {} mask {}", v->id, state_of(*v),
                         v->sched.cpu.load(), v->in_kernel ? "kernel" : "user", v->info->evtchn_upcall_pending,
                         v->info->evtchn_upcall_mask);
    });
}

/// The registers each vCPU entered the hypervisor with; those of a vCPU that is running are older.
void print_registers() {
    for_each_domain([](Domain& d) {
        for (const Vcpu* v : d.vcpus)
            if (v && v->initialised) {
                log_info("d{}v{} ({}):", d.id, v->id, state_of(*v));
                arch::dump_registers(v->regs);
            }
    });
}

void print_run_queues() {
    smp::online().for_each([](CpuId cpu) {
        const scheduler::QueueInfo q = scheduler::queue_info(cpu);
        if (q.current->is_idle()) log_info("CPU {}: idle, {} waiting, {} throttled", cpu, q.waiting, q.throttled);
        else
            log_info("CPU {}: d{}v{}, {} waiting, {} throttled", cpu, q.current->domain->id, q.current->id, q.waiting,
                     q.throttled);
    });
}

void print_memory() {
    const mm::MemoryTotals t = mm::memory_totals();
    log_info("memory: {} KiB, free {} KiB, claimed {} KiB", t.total_frames * 4, t.free_frames * 4,
             t.claimed_frames * 4);
}

void print_ports() {
    static constexpr const char* names[] = {"free", "reserved", "unbound", "interdomain", "pirq", "virq", "ipi"};
    for_each_domain([](Domain& d) {
        log_info("d{}: {} ports", d.id, d.ports->allocated());
        for (u32 n = 1; n < d.ports->allocated(); ++n) {
            evtchn::Port* p = d.ports->find(EvtchnPort(n));
            if (p)
                log_info("  {}: {} {} v{}, remote d{}, pending {}, masked {}", n,
                         names[static_cast<unsigned>(p->state)], p->detail, p->vcpu, p->remote_domain,
                         events::is_pending(d, EvtchnPort(n)), events::is_masked(d, EvtchnPort(n)));
        }
    });
}

void print_grants() {
    for_each_domain([](Domain& d) {
        LockGuard guard(d.grant_lock);
        const grant::Table& t = *d.grants;
        u32 used = 0;
        for (u32 ref = 0; ref < t.entry_count(); ++ref) used += t.pin_count(GrantRef(ref)) != 0;
        log_info("d{}: version {}, {} of {} frames, {} entries in use by others, room for {} mappings", d.id,
                 t.version(), t.frame_count(), t.max_frames(), used, d.maptrack->handle_count());
    });
}

void print_timers() {
    log_info("now {} ns, TSC {} kHz", clock::now(), clock::tsc_khz());
    smp::online().for_each([](CpuId cpu) { log_info("CPU {}: next timer at {} ns", cpu, timers::next_deadline(cpu)); });
}

void print_interrupts() {
    for (u32 i = 0; i < irq::irq_count(); ++i) {
        const irq::Info info = irq::info(Irq(i));
        if (info.bound)
            log_info("irq {}: vector {:#x} CPU {} {} {}{}{} count {}", i, info.vector, info.cpu,
                     info.guest ? "guest" : "streak", info.level ? "level" : "edge", info.masked ? " masked" : "",
                     info.in_service ? " in service" : "", info.count);
    }
}

void reboot_machine() {
    log_warning("reboot by debug key");
    machine::reboot();
}

constinit const std::array<DebugKey, 10> keys{{{'h', "this list", print_help},
                                               {'q', "domains and vCPUs", print_domains},
                                               {'d', "registers of all vCPUs", print_registers},
                                               {'r', "run queues", print_run_queues},
                                               {'m', "memory", print_memory},
                                               {'e', "event channels", print_ports},
                                               {'g', "grant tables", print_grants},
                                               {'a', "timers", print_timers},
                                               {'i', "interrupts", print_interrupts},
                                               {'R', "reboot the machine", reboot_machine}}};

} // namespace

bool debug_key(char key) {
    for (const DebugKey& k : keys)
        if (k.key == key) {
            k.action();
            return true;
        }
    return false;
}

} // namespace streak::console
