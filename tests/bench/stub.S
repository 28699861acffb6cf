// SPDX-License-Identifier: GPL-2.0-only
// The smallest PV guest that shows itself: it writes a line to its console and sleeps until it is destroyed. With 4 MiB
// of memory it is what creating a domain costs when no kernel is in the way. With a command line that begins with
// "crash" it crashes instead.

    .macro note type, directive, value:vararg
    .section .note.xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \directive \value
2:  .balign 4
    .endm

    note 6, .asciz, "stub"                  // XEN_ELFNOTE_GUEST_OS
    note 5, .asciz, "xen-3.0"               // XEN_ELFNOTE_XEN_VERSION
    note 8, .asciz, "generic"               // XEN_ELFNOTE_LOADER
    note 3, .quad,  virtual_base            // XEN_ELFNOTE_VIRT_BASE
    note 4, .quad,  0                       // XEN_ELFNOTE_PADDR_OFFSET
    note 1, .quad,  guest_entry             // XEN_ELFNOTE_ENTRY
    note 9, .asciz, "yes"                   // XEN_ELFNOTE_PAE_MODE

#define CONSOLE_MFN     72                  // start_info_t, xen/xen.h
#define CONSOLE_EVTCHN  80
#define CMD_LINE        128
#define OUT             1024                // struct xencons_interface, xen/io/console.h
#define OUT_PROD        3084
#define sched_op        29
#define SCHEDOP_shutdown 2
#define SCHEDOP_poll    3
#define SHUTDOWN_crash  3
#define event_channel_op 32
#define EVTCHNOP_send   4

    .section .text.entry, "ax"
    .globl guest_entry
guest_entry:
    movq $0xffff800000000000, %rax          // the machine-to-physical table
    movq CONSOLE_MFN(%rsi), %rbx
    movq (%rax,%rbx,8), %rbx
    shlq $12, %rbx
    addq $virtual_base, %rbx                // the console page
    movl CONSOLE_EVTCHN(%rsi), %eax
    movl %eax, send_port(%rip)
    cmpl $0x73617263, CMD_LINE(%rsi)        // "cras"
    je crash
    cld
    leaq text(%rip), %rsi
    leaq OUT(%rbx), %rdi
    movl $text_end - text, %ecx
    rep movsb
    movl $text_end - text, OUT_PROD(%rbx)
    movl $event_channel_op, %eax
    movl $EVTCHNOP_send, %edi
    leaq send_port(%rip), %rsi
    syscall
1:  movl $sched_op, %eax
    movl $SCHEDOP_poll, %edi
    leaq nothing(%rip), %rsi
    syscall
    jmp 1b

crash:
    movl $sched_op, %eax
    movl $SCHEDOP_shutdown, %edi
    leaq reason(%rip), %rsi
    syscall

text:
    .ascii "stub up\r\n"
text_end:

    .data
    .balign 8
nothing:                                    // sched_poll_t: no ports, no time limit
    .quad 0, 0, 0
reason:                                     // sched_shutdown_t
    .long SHUTDOWN_crash
send_port:
    .long 0

    .section .note.GNU-stack, "", @progbits
