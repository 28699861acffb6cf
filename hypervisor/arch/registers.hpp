// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::arch {

/// The registers of an interrupted context, in the order entry.S stores them (lowest address
/// first). The last five words are what the processor pushes (Intel SDM 3A 6.14).
struct Registers {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u32 error_code;
    u32 vector;
    u64 rip, cs, rflags, rsp, ss;

    [[nodiscard]] bool from_guest() const { return (cs & 3) == 3; }
};
static_assert(sizeof(Registers) == 21 * 8);

/// A general register by the processor's number (0 = rax, 1 = rcx …).
[[nodiscard]] inline u64& general_register(Registers& r, unsigned number) {
    static constexpr u64 Registers::* order[] = {&Registers::rax, &Registers::rcx, &Registers::rdx, &Registers::rbx,
                                                 &Registers::rsp, &Registers::rbp, &Registers::rsi, &Registers::rdi,
                                                 &Registers::r8,  &Registers::r9,  &Registers::r10, &Registers::r11,
                                                 &Registers::r12, &Registers::r13, &Registers::r14, &Registers::r15};
    return r.*order[number & 15];
}

/// Entry vectors with a meaning of their own, stored in Registers::vector.
inline constexpr u32 vector_syscall = 0x103;   ///< 64-bit SYSCALL: rcx/r11 are dead, cs and ss flat
inline constexpr u32 vector_syscall32 = 0x101; ///< SYSCALL in compatibility mode (AMD)
inline constexpr u32 vector_sysenter = 0x102;  ///< SYSENTER (Intel)
/// And two ways out that leave rcx and r11 dead: with registers that the guest chose freely, and a guest entry
/// made by the hypervisor (flat selectors, a canonical rip, no TF or RF), which SYSRET takes as it is.
inline constexpr u32 vector_sysret = 0x100; ///< lowest of all, and VGCF_in_syscall
inline constexpr u32 vector_bounced = 0x104;

namespace rflags {
inline constexpr u64 cf = 1u << 0, fixed = 1u << 1, tf = 1u << 8, if_ = 1u << 9, df = 1u << 10, iopl = 3u << 12,
                     nt = 1u << 14, rf = 1u << 16, vm = 1u << 17, ac = 1u << 18, vif = 1u << 19, vip = 1u << 20,
                     id = 1u << 21;
}

/// The exceptions that the hypervisor tells apart (Intel SDM 3A 6.15).
enum class Trap : u8 {
    debug = 1,
    nmi = 2,
    breakpoint = 3,
    overflow = 4,
    invalid_opcode = 6,
    no_device = 7,
    double_fault = 8,
    general_protection = 13,
    page_fault = 14,
    machine_check = 18,
};

} // namespace streak::arch
