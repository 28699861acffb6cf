// SPDX-License-Identifier: GPL-2.0-only
#pragma once

/// Stops Bochs at its debugger's prompt (magic_break, docs/debugging.md) when this line is reached; elsewhere it does
/// nothing. For a line that is being looked at, in the hypervisor or a micro-kernel; none stays in the sources.
#define STREAK_BREAK() asm volatile("xchg %%bx, %%bx" ::: "memory")
