// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/registers.hpp"
#include "lib/log.hpp"
#include "lib/panic_record.hpp"

// What a CPU was doing, as text.

namespace streak::arch {

/// Registers with control registers and, for the hypervisor's own frames, a symbolised backtrace.
void dump_registers(const Registers& regs);

/// The general registers but rip and rsp.
void log_general_registers(LogLevel level, const Registers& regs);
/// Return addresses of the frames from `rbp` on; stops at whatever is no frame.
void dump_backtrace(u64 rip, u64 rbp);

void log_build_id(LogLevel level);

/// Where a panic leaves the log. Tells of one that is there.
void keep_panics_in(PanicRecord& memory);

/// An exception nobody expected: dumps and panics.
[[noreturn]] void panic_with_registers(const Registers& regs);

} // namespace streak::arch
