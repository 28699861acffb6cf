// SPDX-License-Identifier: GPL-2.0-only
// What the hypervisor enters: exceptions, callbacks; and the two ways back (iret hypercall, guarded call).
//
// A PV frame lies on the kernel stack as rcx, r11, [error code], rip, cs, rflags, rsp, ss.

#define HYPERCALL_IRET 23
#define KERNEL_CS      0xe030
#define USER_CS        0xe033
#define FLAT_SS        0xe02b

    .text

.macro stub number, has_error
    .balign 16
    popq %rcx
    popq %r11
    .if \has_error == 0
    pushq $0
    .endif
    pushq $\number
    jmp trap_common
.endm

    .altmacro
    .globl trap_stubs
    .balign 16
trap_stubs:
    .set vector, 0
    .rept 256
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
    stub %vector, 1
    .else
    stub %vector, 0
    .endif
    .set vector, vector + 1
    .endr

    .globl event_entry, failsafe_entry, syscall_entry, syscall32_entry, nmi_entry
    .balign 16
event_entry:     stub 0x100, 0
failsafe_entry:
    popq %rcx
    popq %r11
    popq failsafe_selectors + 0(%rip)
    popq failsafe_selectors + 8(%rip)
    popq failsafe_selectors + 16(%rip)
    popq failsafe_selectors + 24(%rip)
    pushq $0
    pushq $0x101
    jmp trap_common
    .balign 16
syscall_entry:   stub 0x102, 0
    .balign 16
syscall32_entry: stub 0x103, 0
    .balign 16
nmi_entry:       stub 0x104, 0

// The order of the registers is that of Frame in trap.hpp.
trap_common:
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbp
    andq $-16, %rsp
    call trap_handler
    movq %rbp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $16, %rsp
    pushq $0
    pushq %rcx
    pushq %r11
    pushq %rax
    movl $HYPERCALL_IRET, %eax
    syscall
    ud2

// bool guarded_call(void (*function)(void *), void *argument): true when a trap cut the function short.
    .globl guarded_call, guard_landing
guarded_call:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq guard_stack(%rip)
    movq %rsp, guard_stack(%rip)
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%rax
    xorl %eax, %eax
    jmp 1f
guard_landing:
    movl $1, %eax
1:  popq guard_stack(%rip)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

// void user_enter(const UserState *): leaves for user mode by the iret hypercall; never returns.
    .globl user_enter
user_enter:
    pushq $FLAT_SS
    pushq 0x08(%rdi)
    pushq 0x10(%rdi)
    pushq $USER_CS
    pushq 0x00(%rdi)
    pushq 0x18(%rdi)
    pushq 0x20(%rdi)
    pushq 0x28(%rdi)
    pushq 0x30(%rdi)
    movq 0x38(%rdi), %rbx
    movq 0x40(%rdi), %rdi
    movl $HYPERCALL_IRET, %eax
    syscall
    ud2

    .bss
    .balign 8
    .globl guard_stack, failsafe_selectors
guard_stack:        .skip 8
failsafe_selectors: .skip 32

    .section .note.GNU-stack, "", @progbits
