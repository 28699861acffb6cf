/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From GRUB's multiboot2 hand-over (32-bit protected mode, paging off, the same on BIOS and UEFI) to
 * streak_main() in 64-bit mode at the linked address. Whatever stops us is said on COM1 and the text screen.
 */
#include "asm_offsets.h"

#define PHYSICAL(symbol) ((symbol) - IMAGE_BASE_ADDRESS + IMAGE_LOAD_ADDRESS)

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_LOADER_MAGIC 0x36d76289

#define TABLE_ENTRY 0x63                /* present, writable, accessed, dirty */
#define LARGE_ENTRY 0xe3

#define CR4_BITS 0x6a0                  /* PAE PGE OSFXSR OSXMMEXCPT: boot's decoders may use SSE */
#define CR0_BITS 0x80010033             /* PG WP NE ET MP PE */

    .section .multiboot, "a", @progbits
    .balign 8
multiboot_header:
    .long MULTIBOOT2_HEADER_MAGIC, 0, multiboot_header_end - multiboot_header
    .long -(MULTIBOOT2_HEADER_MAGIC + (multiboot_header_end - multiboot_header))
    /* Information request; optional: command line, modules, memory map, framebuffer, RSDP and EFI tables. */
    .short 1, 1
    .long 8 + 9 * 4
    .long 1, 3, 4, 6, 8, 12, 14, 15, 17
    .balign 8
    /* Entry point; the segments say where they are loaded. */
    .short 3, 0
    .long 12
    .long PHYSICAL(multiboot_entry)
    .balign 8
    /* No framebuffer tag: a BIOS stays in text mode, and UEFI's GRUB passes its screen on if it has one. */
    /* Modules on page boundaries. */
    .short 6, 0
    .long 8
    .balign 8
    .short 0, 0
    .long 8
multiboot_header_end:

/* ---- Page tables ------------------------------------------------------------------------------------ */

    .section .data.page_aligned, "aw", @progbits
    .balign 4096
    .global boot_l4
boot_l4:                                /* slots 0 and 262: low 4 GiB; 261: image */
    .quad PHYSICAL(boot_l3_low) + TABLE_ENTRY
    .fill 260, 8, 0
    .quad PHYSICAL(boot_l3_image) + TABLE_ENTRY
    .quad PHYSICAL(boot_l3_low) + TABLE_ENTRY + (1 << 63)
    .fill 249, 8, 0
boot_l3_low:
    .quad PHYSICAL(boot_l2_low) + TABLE_ENTRY
    .quad PHYSICAL(boot_l2_low + 0x1000) + TABLE_ENTRY
    .quad PHYSICAL(boot_l2_low + 0x2000) + TABLE_ENTRY
    .quad PHYSICAL(boot_l2_low + 0x3000) + TABLE_ENTRY
    .fill 508, 8, 0

    .section .init.data, "aw", @progbits
    .balign 4096
boot_l3_image:
    .fill (IMAGE_BASE_ADDRESS >> 30) & 511, 8, 0
    .quad PHYSICAL(boot_l2_image) + TABLE_ENTRY
    .fill 511 - ((IMAGE_BASE_ADDRESS >> 30) & 511), 8, 0
boot_l2_image:
    .set page, 0
    .rept 8
    .quad IMAGE_LOAD_ADDRESS + page * 0x200000 + LARGE_ENTRY
    .set page, page + 1
    .endr
    .fill 504, 8, 0

    .section .bss.page_aligned, "aw", @nobits
    .balign 4096
boot_l2_low:
    .skip 4 * 4096

/* ---- 32-bit entry ----------------------------------------------------------------------------------- */

    .section .init.text, "ax", @progbits
    .code32
    .global multiboot_entry
    .type multiboot_entry, @function
multiboot_entry:
    cli
    cld
    mov $PHYSICAL(boot_stack_end), %esp
    mov %eax, %ebp
    mov %ebx, %esi
    mov $PHYSICAL(text_loader), %edi
    cmp $MULTIBOOT2_LOADER_MAGIC, %eax
    jne refuse

    /* CPUID exists if EFLAGS.ID can be changed. */
    mov $PHYSICAL(text_cpu), %edi
    pushfl
    pop %eax
    mov %eax, %ecx
    xor $(1 << 21), %eax
    push %eax
    popfl
    pushfl
    pop %eax
    cmp %ecx, %eax
    je refuse
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb refuse
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx                        /* long mode */
    jnc refuse
    mov $PHYSICAL(text_nx), %edi
    bt $20, %edx                        /* no-execute */
    jnc refuse

    xor %ecx, %ecx
    mov $LARGE_ENTRY, %eax
1:  mov %eax, PHYSICAL(boot_l2_low)(, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jb 1b

    mov $CR4_BITS, %eax
    mov %eax, %cr4
    mov $PHYSICAL(boot_l4), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_BITS, %eax
    wrmsr
    mov $CR0_BITS, %eax
    mov %eax, %cr0
    lgdt PHYSICAL(early_gdtr)
    ljmp $8, $PHYSICAL(enter_64)

    /* EDI: text. Both devices are tried blindly; nothing depends on them. */
    .type refuse, @function
refuse:
    mov $0xb8000, %ebx
1:  movb (%edi), %al
    inc %edi
    test %al, %al
    jz 4f
    mov $0x4f, %ah
    mov %ax, (%ebx)
    add $2, %ebx
    mov %al, %ah
    mov $100000, %ecx
    mov $0x3fd, %dx
2:  in %dx, %al
    test $0x20, %al
    jnz 3f
    dec %ecx
    jnz 2b
3:  mov %ah, %al
    mov $0x3f8, %dx
    out %al, %dx
    jmp 1b
4:  cli
    hlt
    jmp 4b

    .code64
enter_64:
    movabs $1f, %rax
    jmp *%rax
1:  xor %eax, %eax
    .irp segment, ds, es, ss, fs, gs
    mov %eax, %\segment
    .endr
    lldt %ax
    mov %esi, %r13d
    mov %ebp, %r12d
    lea boot_stack_end(%rip), %rsp
    lea boot_percpu(%rip), %rax
    mov %rax, PERCPU_SELF(%rax)
    mov %rsp, PERCPU_STACK_TOP(%rax)
    mov %rax, %rdx
    shr $32, %rdx
    mov $MSR_GS_BASE, %ecx
    wrmsr
    xor %ebp, %ebp
    call early_init
    mov %r12d, %edi
    mov %r13d, %esi
    call streak_main
2:  hlt
    jmp 2b

    .section .init.rodata, "a", @progbits
text_loader:
    .asciz "Streak: not started by a multiboot2 loader (GRUB: multiboot2 /boot/streak.gz)\r\n"
text_cpu:
    .asciz "Streak: this processor has no 64-bit mode\r\n"
text_nx:
    .asciz "Streak: this processor has no execute-disable bit, or the firmware has turned it off\r\n"
    .balign 8
early_gdt:
    .quad 0
    .quad 0x00af9b000000ffff            /* code, 64 bits */
early_gdtr:
    .short . - early_gdt - 1
    .long PHYSICAL(early_gdt)

    .section .bss.page_aligned, "aw", @nobits
    .balign 4096
    .skip 32768
boot_stack_end:

    .section .note.GNU-stack, "", @progbits
