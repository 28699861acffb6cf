// SPDX-License-Identifier: GPL-2.0-only
// Entry of a PV test guest: the ELF notes, the registers as they were found, the hypercall page.

#define NOTE_ENTRY          1
#define NOTE_HYPERCALL_PAGE 2
#define NOTE_VIRT_BASE      3
#define NOTE_PADDR_OFFSET   4
#define NOTE_XEN_VERSION    5
#define NOTE_GUEST_OS       6
#define NOTE_GUEST_VERSION  7
#define NOTE_LOADER         8
#define NOTE_PAE_MODE       9
#define NOTE_FEATURES       10

.macro note type, directive, value:vararg
    .section .note.xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \directive \value
2:  .balign 4
.endm

    note NOTE_GUEST_OS,       .asciz, "streak-test"
    note NOTE_GUEST_VERSION,  .asciz, "1"
    note NOTE_XEN_VERSION,    .asciz, "xen-3.0"
    note NOTE_LOADER,         .asciz, "generic"
    note NOTE_VIRT_BASE,      .quad,  virtual_base
    note NOTE_PADDR_OFFSET,   .quad,  0
    note NOTE_ENTRY,          .quad,  guest_entry
    note NOTE_HYPERCALL_PAGE, .quad,  hypercall_page
    note NOTE_PAE_MODE,       .asciz, "yes"
    note NOTE_FEATURES,       .asciz, "!writable_page_tables|pae_pgdir_above_4gb"

    .section .text.entry, "ax"
    .globl guest_entry, hypercall_page
    .balign 4096
hypercall_page:
    .fill 4096, 1, 0xcc

// The order of the fields is that of EntryRegisters in boot.hpp.
guest_entry:
    movq %rax, entry_registers + 0x00(%rip)
    movq %rbx, entry_registers + 0x08(%rip)
    movq %rcx, entry_registers + 0x10(%rip)
    movq %rdx, entry_registers + 0x18(%rip)
    movq %rsi, entry_registers + 0x20(%rip)
    movq %rdi, entry_registers + 0x28(%rip)
    movq %rbp, entry_registers + 0x30(%rip)
    movq %rsp, entry_registers + 0x38(%rip)
    movq %r8,  entry_registers + 0x40(%rip)
    movq %r9,  entry_registers + 0x48(%rip)
    movq %r10, entry_registers + 0x50(%rip)
    movq %r11, entry_registers + 0x58(%rip)
    movq %r12, entry_registers + 0x60(%rip)
    movq %r13, entry_registers + 0x68(%rip)
    movq %r14, entry_registers + 0x70(%rip)
    movq %r15, entry_registers + 0x78(%rip)
    pushfq
    popq entry_registers + 0x80(%rip)
    movw %cs, entry_registers + 0x88(%rip)
    movw %ss, entry_registers + 0x8a(%rip)
    movw %ds, entry_registers + 0x8c(%rip)
    movw %es, entry_registers + 0x8e(%rip)
    movw %fs, entry_registers + 0x90(%rip)
    movw %gs, entry_registers + 0x92(%rip)
    cld
    leaq boot_stack_end(%rip), %rsp
    xorl %ebp, %ebp
    movq %rsi, %rdi
    call guest_start
    ud2

    .bss
    .balign 16
    .globl boot_stack_end, trap_stack_end
    .skip 32768
boot_stack_end:
    .skip 32768
trap_stack_end:

    .section .note.GNU-stack, "", @progbits
