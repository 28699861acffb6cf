// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include <xen/errno.h>

#include "lib/abi.hpp"

namespace guest {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

/// The registers as the guest found them at its entry point; filled by start.S.
struct EntryRegisters {
    u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rflags;
    u16 cs, ss, ds, es, fs, gs;
};

inline constexpr u64 virtual_base = 0xffffffff80000000;
inline constexpr u64 page_size = 4096;

extern "C" {
extern EntryRegisters entry_registers;
extern char image_start[], image_end[], boot_stack_end[], trap_stack_end[];
extern char user_text_start[], user_text_end[];
}

/// The boot information the hypervisor passed in rsi.
const start_info_t& boot_info();

/// The page shared with the hypervisor, mapped by the runtime before the test starts.
shared_info_t& shared_page();

/// This vCPU's part of the shared page (vCPU 0).
inline vcpu_info_t& this_vcpu() { return shared_page().vcpu_info[0]; }

/// Code put here can be mapped for user mode.
#define USER_CODE __attribute__((section(".user_text"), noinline, used))

} // namespace guest

extern "C" {
void* memset(void* destination, int value, unsigned long size);
void* memcpy(void* destination, const void* source, unsigned long size);
int memcmp(const void* left, const void* right, unsigned long size);
}
