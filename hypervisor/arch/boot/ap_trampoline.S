/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an application processor executes first, in real mode, in a copy of this code that starts at a page
 * boundary below 1 MiB. It finds its place by CS and goes straight to long mode. Only data is patched: the
 * ApStart at ap_trampoline_data (arch/boot/trampoline.cpp).
 */
#include "asm_offsets.h"

#define CR4_BITS 0x6a0
#define CR0_BITS 0x80010033
#define HERE(label) ((label) - ap_trampoline_start)

    .section .rodata, "a", @progbits
    .balign 16
    .global ap_trampoline_start, ap_trampoline_data, ap_trampoline_end
    .code16
ap_trampoline_start:
    cli
    cld
    xor %ebx, %ebx
    mov %cs, %bx
    mov %bx, %ds
    shl $4, %ebx                        /* linear address of this page */
    lea HERE(ap_gdt)(%ebx), %eax
    mov %eax, HERE(ap_gdtr) + 2
    lea HERE(ap_64)(%ebx), %eax
    mov %eax, HERE(ap_far_pointer)

    mov $CR4_BITS, %eax
    mov %eax, %cr4
    mov HERE(ap_trampoline_data) + AP_START_CR3, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_BITS, %eax
    wrmsr
    lgdtl HERE(ap_gdtr)
    mov $CR0_BITS, %eax
    mov %eax, %cr0
    ljmpl *HERE(ap_far_pointer)

    .code64
ap_64:
    xor %eax, %eax
    .irp segment, ds, es, ss, fs, gs
    mov %eax, %\segment
    .endr
    lldt %ax
    mov %ebx, %ebx
    lea HERE(ap_trampoline_data)(%rbx), %rbx
    mov AP_START_STACK(%rbx), %rsp
    mov AP_START_PERCPU(%rbx), %rax
    mov %rax, %rdi
    mov %rax, %rdx
    shr $32, %rdx
    mov $MSR_GS_BASE, %ecx
    wrmsr
    xor %ebp, %ebp
    push $0                             /* as if called */
    jmp *AP_START_ENTRY(%rbx)

    .balign 8
ap_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
ap_gdtr:
    .short . - ap_gdt - 1
    .long 0
    .balign 4
ap_far_pointer:
    .long 0
    .short 8
    .balign 8
ap_trampoline_data:
    .skip AP_START_SIZE
ap_trampoline_end:

    .section .note.GNU-stack, "", @progbits
