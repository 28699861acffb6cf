/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests come and go by these paths when they run on tables of their own (arch/speculation.cpp puts jumps to here
 * into entry.S). The guest's tables map these pages, the IDT, the CPU's block, its descriptor tables and its
 * exception stacks, nothing else of the hypervisor: its own tables come first on the way in and go last on the way
 * out. Frames that the processor stores appear on PerCpu::entry_stack and go to current()->regs from there.
 */
#include "asm_offsets.h"

.macro LOAD_FULL_TABLES register
    mov %gs:PERCPU_CR3, %\register
    or %gs:PERCPU_KEEP_TLB, %\register
    mov %\register, %cr3
.endm

    /* CR3 for the guest into RAX; RSP is at current()->regs. RBX, R12 to R15 are the guest's. */
.macro CHOOSE_GUEST_TABLES
    mov %gs:PERCPU_CR3, %rcx
    mov $PERCPU_GUEST_ROOTS, %edx
    cmp %gs:ROOT_SHOWN_CR3(%rdx), %rcx
    je .Lfound\@
    add $ROOT_SIZE, %edx
    cmp %gs:ROOT_SHOWN_CR3(%rdx), %rcx
    je .Lfound\@
    mov %gs:PERCPU_STACK_TOP, %rsp
    call fill_guest_root
    mov %gs:PERCPU_CURRENT, %rsp
    add $VCPU_REGS, %rsp
    jmp .Lchosen\@
.Lfound\@:
    mov %gs:ROOT_CR3(%rdx), %rax
    mov %gs:PERCPU_KEEP_TLB, %rcx
    or %rcx, %gs:ROOT_CR3(%rdx)         /* what had to be flushed is, this time */
.Lchosen\@:
.endm

    /*
     * All of the guest's registers but RAX, which is CR3's value, and RSP, which is on the entry stack: RAX and a
     * frame for IRETQ lie there.
     */
.macro LOAD_GUEST_REGISTERS
    CHOOSE_GUEST_TABLES
    mov %rsp, %rdx
    mov %gs:PERCPU_ENTRY_STACK, %rsp
    .irp offset, REGS_SS, REGS_RSP, REGS_RFLAGS, REGS_CS, REGS_RIP, REGS_RAX
    push \offset(%rdx)
    .endr
    mov REGS_RBP(%rdx), %rbp
    mov REGS_R11(%rdx), %r11
    mov REGS_R10(%rdx), %r10
    mov REGS_R9(%rdx), %r9
    mov REGS_R8(%rdx), %r8
    mov REGS_RCX(%rdx), %rcx
    mov REGS_RSI(%rdx), %rsi
    mov REGS_RDI(%rdx), %rdi
    mov REGS_RDX(%rdx), %rdx
.endm

.macro FUNCTION name
    .global \name
    .type \name, @function
\name:
.endm

    .section .text.entry, "ax", @progbits

/* ---- In --------------------------------------------------------------------------------------------- */

FUNCTION xpti_syscall_entry
    swapgs
    mov %rsp, %gs:PERCPU_GUEST_RSP
    LOAD_FULL_TABLES rsp
    jmp syscall_on_full_tables

FUNCTION xpti_syscall32_entry
    swapgs
    mov %rsp, %gs:PERCPU_GUEST_RSP
    LOAD_FULL_TABLES rsp
    jmp syscall32_on_full_tables

FUNCTION xpti_sysenter_entry
    swapgs
    LOAD_FULL_TABLES rsp
    jmp sysenter_on_full_tables

FUNCTION xpti_common_entry
    testb $3, 16(%rsp)
    jnz xpti_from_guest
    push %rax
    lea xpti_iret(%rip), %rax
    cmp %rax, 16(%rsp)
    pop %rax
    jne entry_from_hypervisor
    swapgs
    mov %rax, %gs:PERCPU_GUEST_RSP
    LOAD_FULL_TABLES rax
    jmp iret_fault_on_full_tables

FUNCTION xpti_from_guest
    swapgs
    mov %rax, %gs:PERCPU_GUEST_RSP
    LOAD_FULL_TABLES rax
    jmp move_guest_frame

/* ---- Out -------------------------------------------------------------------------------------------- */

    .balign 4
verw_selector:                          /* VERW of a writable segment empties the buffers; elsewhere it does no harm */
    .short HYPERVISOR_DS

FUNCTION xpti_exit_by_sysret
    LOAD_GUEST_REGISTERS
    mov 8(%rsp), %rcx                   /* RIP */
    mov 24(%rsp), %r11                  /* flags */
    mov %rax, %cr3
    verw verw_selector(%rip)
    pop %rax
    mov 24(%rsp), %rsp
    swapgs
    sysretq

FUNCTION xpti_exit_by_iret
    LOAD_GUEST_REGISTERS
    mov %rax, %cr3
    verw verw_selector(%rip)
    pop %rax
    swapgs
FUNCTION xpti_iret
    iretq

    .section .note.GNU-stack, "", @progbits
