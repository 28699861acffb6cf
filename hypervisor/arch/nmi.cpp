// SPDX-License-Identifier: GPL-2.0-only
#include "arch/nmi.hpp"

#include "arch/cpu.hpp"
#include "arch/dump.hpp"
#include "arch/handlers.hpp"
#include "arch/io.hpp"
#include "arch/machine.hpp"
#include "arch/msr.hpp"
#include "arch/smp.hpp"
#include "lib/abi.hpp"
#include "lib/panic.hpp"

namespace streak::nmi {

namespace {

constinit Policy policy = Policy::dom0;
constinit std::atomic<u64> reasons{0};
constinit std::atomic<bool> taken{false}; ///< by a CPU that panics

/// Port 0x61 tells bus errors from the rest; a line that raised one is closed, for dom0 to open again.
u64 read_reasons() {
    constexpr u16 port = 0x61;
    constexpr u8 serr = 0x80, iochk = 0x40, close_serr = 0x04, close_iochk = 0x08, kept = 0x0f;
    const u8 status = arch::in8(port);
    const u8 close = ((status & serr) ? close_serr : 0) | ((status & iochk) ? close_iochk : 0);
    if (close == 0) return XEN_NMIREASON_unknown;
    arch::out8(port, static_cast<u8>((status & kept) | close));
    return ((status & serr) ? XEN_NMIREASON_pci_serr : 0) | ((status & iochk) ? XEN_NMIREASON_io_error : 0);
}

} // namespace

void set_policy(Policy wanted) { policy = wanted; }
u64 take_reasons() { return reasons.exchange(0); }

} // namespace streak::nmi

extern "C" void handle_nmi(streak::arch::Registers* regs) {
    using namespace streak;
    const bool fatal = nmi::policy == nmi::Policy::fatal;
    // One panics; the others that got it, too, wait until they are stopped.
    const bool late = !smp::is_stopping() && fatal && nmi::taken.exchange(true);
    while (late && !smp::is_stopping()) arch::cpu_relax();
    if (smp::stops_here(*regs)) machine::halt_cpu();
    if (fatal) arch::panic_with_registers(*regs);
    const u64 why = nmi::read_reasons();
    log_warning("NMI on CPU {} at {:#x}, reasons {:#x}", arch::cpu_id(), regs->rip, why);
    if (nmi::policy != nmi::Policy::dom0) return;
    nmi::reasons.fetch_or(why);
    arch::raise_local_work(arch::Work::nmi); // no lock may be taken here
}

extern "C" void handle_machine_check(streak::arch::Registers* regs) {
    using namespace streak;
    constexpr u32 capabilities = 0x179, first_bank = 0x401; // IA32_MCG_CAP, IA32_MC0_STATUS
    for (u32 bank = 0; bank < (arch::read_msr(capabilities) & 0xff); ++bank) {
        const u64 status = arch::read_msr(first_bank + bank * 4);
        if (status >> 63)
            log_emergency("bank {}: status {:#x} address {:#x}", bank, status,
                          arch::read_msr(first_bank + bank * 4 + 1));
    }
    panic("machine check on CPU {} at {:#x}", arch::cpu_id(), regs->rip);
}
