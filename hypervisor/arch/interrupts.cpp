// SPDX-License-Identifier: GPL-2.0-only
#include "arch/handlers.hpp"
#include "arch/irq.hpp"
#include "arch/lapic.hpp"
#include "arch/percpu.hpp"
#include "arch/tlb.hpp"
#include "arch/vectors.hpp"
#include "lib/log.hpp"

// Interrupts only note what is to be done; the work itself is done on the exit path or in the idle loop.

using namespace streak;

extern "C" void handle_interrupt(u32 vector, arch::Registers*) {
    const Vector v(static_cast<u8>(vector));
    if (v == arch::timer_vector) {
        lapic::eoi();
        arch::raise_local_work(arch::Work::timer);
    } else if (v == arch::work_vector) {
        lapic::eoi(); // PerCpu::work says what for
    } else if (v == arch::flush_vector) {
        lapic::eoi();
        tlb::serve_mailbox();
    } else if (v == arch::error_vector) {
        lapic::eoi();
        log_warning("APIC error on CPU {}: {:#x}", arch::cpu_id(), lapic::error_status());
    } else if (v == arch::spurious_vector) {
        // Nothing is in service: no EOI.
    } else {
        irq::dispatch(v);
    }
}
