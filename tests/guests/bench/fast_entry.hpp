// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/boot.hpp"

namespace guest {

// The shortest handlers a guest can have, so that the figures are the hypervisor's.
// Port and word of the event handler; it clears what the callback protocol asks for.
extern "C" {
extern u64 fast_event_bit; ///< the port's bit in its word
extern unsigned long* fast_event_word;
extern u64 fast_event_count;
extern char fast_event_entry[], fast_fault_entry[], fast_syscall_entry[];
}

// A PV frame is rcx, r11, [error], rip, cs, rflags, rsp, ss; iret wants rax, r11, rcx, flags, rip, ….
asm(R"(
    .text
    .balign 16
fast_event_entry:
    popq %rcx
    popq %r11
    pushq $0
    pushq %rcx
    pushq %r11
    pushq %rax
    movq fast_vcpu_info(%rip), %rax
    movb $0, (%rax)
    movq $0, 8(%rax)
    movq fast_event_word(%rip), %rax
    movq fast_event_bit(%rip), %rcx
    notq %rcx
    lock andq %rcx, (%rax)
    incq fast_event_count(%rip)
    movl $23, %eax
    syscall

    .balign 16
fast_fault_entry:       # steps over a two-byte instruction
    popq %rcx
    popq %r11
    addq $8, %rsp
    addq $2, (%rsp)
    pushq $0
    pushq %rcx
    pushq %r11
    pushq %rax
    movl $23, %eax
    syscall

    .balign 16
fast_syscall_entry:
    popq %rcx
    popq %r11
    pushq $256          # VGCF_in_syscall
    pushq %rcx
    pushq %r11
    pushq %rax
    movl $23, %eax
    syscall

    .data
    .balign 8
    .globl fast_event_bit, fast_event_word, fast_event_count, fast_vcpu_info
fast_event_bit:   .quad 0
fast_event_word:  .quad 0
fast_event_count: .quad 0
fast_vcpu_info:   .quad 0
    .text
)");

extern "C" u64 fast_vcpu_info;

} // namespace guest
