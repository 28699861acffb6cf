// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/hypercall.hpp"

namespace guest {

/// What the entry stubs leave on the stack; the order is that of trap_entry.S.
struct Frame {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 vector; ///< exception vector, or one of Entry
    u64 error;
    u64 rip, cs, rflags, rsp, ss;

    bool from_user() const { return (cs & 3) == 3; }
};

/// Vectors of the entries that are no exceptions.
enum Entry : u64 {
    entry_event = 0x100,
    entry_failsafe = 0x101,
    entry_syscall = 0x102,
    entry_syscall32 = 0x103,
    entry_nmi = 0x104,
};

enum Exception : u64 {
    vector_de = 0,
    vector_db = 1,
    vector_nmi = 2,
    vector_bp = 3,
    vector_of = 4,
    vector_ud = 6,
    vector_nm = 7,
    vector_np = 11,
    vector_ss = 12,
    vector_gp = 13,
    vector_pf = 14,
    vector_ac = 17,
};

inline constexpr u64 flag_tf = 0x100;
inline constexpr u64 flag_if = 0x200;
inline constexpr u64 kernel_cs_in_frame = FLAT_KERNEL_CS & ~3u;

/// A trap that cut a guarded call short; `taken` is false when the call returned.
struct Trap {
    bool taken = false;
    u64 cr2 = 0;
    Frame frame = {};

    bool is(u64 vector) const { return taken && frame.vector == vector; }
    bool is(u64 vector, u64 error) const { return is(vector) && frame.error == error; }
};

extern "C" {
extern char trap_stubs[256][16];
extern char event_entry[], failsafe_entry[], syscall_entry[], syscall32_entry[], nmi_entry[];
extern u64 failsafe_selectors[4]; ///< ds, es, fs, gs as the last failsafe frame had them
bool guarded_call(void (*function)(void*), void* argument);
}

/// A hook sees each trap first; true means handled: return to the frame.
using TrapHook = bool (*)(Frame& frame);
void set_trap_hook(u64 vector, TrapHook hook);

/// Called from the event callback with the upcall masked; by default an event is acknowledged and ignored.
void set_event_hook(void (*hook)(Frame& frame));

/// Registers stubs for all 32 exceptions and the callbacks; called by the runtime.
void install_traps();

/// Registers one software vector with a descriptor privilege level.
long install_vector(u8 vector, u8 dpl, bool mask_events = false);

long register_callback(u16 type, const char* entry, u16 flags = 0);

/// The trap that the last guarded call ended with.
const Trap& last_trap();

/// Runs `function` and reports the trap that ended it, if one did.
template <typename F> Trap catch_trap(F function) {
    auto thunk = [](void* argument) { (*static_cast<F*>(argument))(); };
    return guarded_call(thunk, &function) ? last_trap() : Trap{};
}

} // namespace guest
