// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"

namespace guest {

/// What user mode starts with; the order is that of user_enter in trap_entry.S.
struct UserState {
    u64 rip = 0, rsp = 0, rflags = flag_if;
    u64 iret_flags = 0; ///< 0 or VGCF_in_syscall
    u64 rcx = 0, r11 = 0, rax = 0, rbx = 0, rdi = 0;
};

/// Addresses of the user address space.
inline constexpr u64 user_text = 0x10000000000, user_stack = 0x10000100000, user_data = 0x10000200000;

/// Builds a user L4 (text, one stack page, one data page), shares its L3 with the kernel's L4, loads it.
void init_user();
/// Machine frame of the user L4.
u64 user_root_mfn();
/// The kernel's view of the user's data page.
Page* user_data_page();
/// The kernel's view of the user's stack page.
Page* user_stack_page();

/// The user address of a function marked USER_CODE.
u64 user_address(const void* function);

/// Goes to user mode and reports the trap (fault, software interrupt, system call) it came back by.
Trap run_user(UserState state);
inline Trap run_user(void (*code)()) { return run_user({.rip = user_address(reinterpret_cast<const void*>(code))}); }

} // namespace guest
