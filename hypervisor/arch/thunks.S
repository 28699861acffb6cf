/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The compiler's indirect calls and jumps come here, with the target in a register. A retpoline makes the processor
 * predict the RET by the CALL in front of it, into a loop that waits, instead of by what a guest has trained.
 * arch/speculation.cpp may put something cheaper in its place.
 */
.macro THUNK register
    .balign 16
    .global __x86_indirect_thunk_\register
    .type __x86_indirect_thunk_\register, @function
__x86_indirect_thunk_\register:
    call 2f
1:  lfence
    jmp 1b
2:  mov %\register, (%rsp)
    ret
.endm

    .section .text, "ax", @progbits
    .balign 16
    .global indirect_thunks
indirect_thunks:
    .irp register, rax, rcx, rdx, rbx
    THUNK \register
    .endr
    .skip 16, 0xcc
    .irp register, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    THUNK \register
    .endr
    .balign 16, 0xcc

    .section .note.GNU-stack, "", @progbits
