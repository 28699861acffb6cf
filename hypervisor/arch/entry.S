/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every way into the hypervisor and back out.
 *
 * From a guest: TSS.rsp0 (exceptions, interrupts) is the end of current()->regs, and SYSCALL goes there, too,
 * so registers are stored once, in their final place. Handlers run on the CPU's stack. After each of them
 * the exit path looks at what current() is by now, does pending work and returns to it.
 *
 * From CPL 0 (hypervisor faults, interrupts in the idle loop or a window): a frame on the same stack, and back.
 *
 * NMI, #DF, #MC and #DB may hit where GS base or RSP is still the guest's (the first instructions of SYSCALL;
 * MOV SS holds a #DB back until there). They have stacks of their own whose top holds the CPU's block.
 */
#include "asm_offsets.h"

    /* CLAC once SMAP is on (arch/cpu.cpp patches it in). */
.macro CLEAR_AC
.Lclac\@:
    .byte 0x0f, 0x1f, 0x00
    .pushsection .clac_sites, "a"
    .long .Lclac\@ - .
    .popsection
.endm

    /* In the order of arch::Registers. */
.macro PUSH_REGISTERS
    .irp r, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
    push %\r
    .endr
.endm

.macro POP_REGISTERS
    .irp r, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    pop %\r
    .endr
.endm

    /* Registers that follow one another in arch::Registers. */
.macro LOAD offset, base, registers:vararg
    .set at, \offset
    .irp r, \registers
    mov at(%\base), %\r
    .set at, at + 8
    .endr
.endm

    .section .text.entry, "ax", @progbits

/* ---- Vectors: 16 bytes each ------------------------------------------------------------------------- */

    .global vector_stubs
    .type vector_stubs, @function
    .balign 16
vector_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21
    push $0
    .endif
    movl $vector, 4(%rsp)
    .if vector == 1
    jmp debug_entry
    .elseif vector == 2
    jmp nmi_entry
    .elseif vector == 8
    jmp double_fault_entry
    .elseif vector == 18
    jmp machine_check_entry
    .else
    jmp common_entry
    .endif
    .set vector, vector + 1
    .endr
    .size vector_stubs, . - vector_stubs

/* ---- Exceptions and interrupts ---------------------------------------------------------------------- */

    .global common_entry
    .type common_entry, @function
common_entry:
    testb $3, 16(%rsp)                  /* CS; the error code and RIP lie below */
    jz entry_from_hypervisor
    swapgs
    .type guest_frame_complete, @function
guest_frame_complete:                   /* RSP is in current()->regs, GS is ours */
    cld
    CLEAR_AC
    PUSH_REGISTERS
    mov %rsp, %rsi
    mov %gs:PERCPU_STACK_TOP, %rsp
    xor %ebp, %ebp                      /* backtraces end here */
    mov REGS_VECTOR(%rsi), %edi
    cmp $32, %edi
    jae 1f
    cmp $2, %edi
    je 2f
    cmp $18, %edi
    je 3f
    mov %gs:PERCPU_CURRENT, %rdi
    call handle_guest_exception
    jmp exit_path
1:  call handle_interrupt
    jmp exit_path
2:  mov %rsi, %rdi
    call handle_nmi
    jmp exit_path
3:  mov %rsi, %rdi
    call handle_machine_check
    jmp exit_path

    .global entry_from_hypervisor
    .type entry_from_hypervisor, @function
entry_from_hypervisor:
    push %rax
    lea iret_to_guest(%rip), %rax
    cmp %rax, 16(%rsp)
    pop %rax
    je iret_faulted
    cld
    CLEAR_AC
    PUSH_REGISTERS
    mov %rsp, %rdi
    mov %rsp, %rsi
    sub $8, %rsp
    cmpl $32, REGS_VECTOR(%rdi)
    jae 1f
    call handle_hypervisor_exception
    jmp 2f
1:  mov REGS_VECTOR(%rdi), %edi
    call handle_interrupt
2:  add $8, %rsp
    POP_REGISTERS
    add $8, %rsp
    iretq

/*
 * The guest frame of an IRETQ was bad. The processor pushed this fault's frame over the general registers
 * stored in regs, but those are all live again; regs.rip to regs.ss are untouched. RSP is at the fault's
 * error code, GS is the guest's.
 */
    .type iret_faulted, @function
iret_faulted:
    swapgs
    mov %rax, %gs:PERCPU_GUEST_RSP
    .global iret_fault_on_full_tables
iret_fault_on_full_tables:
    mov (%rsp), %rax                    /* error code and vector */
    mov %gs:PERCPU_CURRENT, %rsp
    add $(VCPU_REGS + REGS_RIP), %rsp
    push %rax
    mov %gs:PERCPU_GUEST_RSP, %rax
    cld
    CLEAR_AC
    PUSH_REGISTERS
    mov %gs:PERCPU_STACK_TOP, %rsp
    xor %ebp, %ebp
    mov %gs:PERCPU_CURRENT, %rdi
    call handle_iret_fault
    jmp exit_path

/* ---- Exceptions with stacks of their own ------------------------------------------------------------ */

.macro IST_ENTRY name, handler
    .type \name, @function
\name:
    testb $3, 16(%rsp)
    jnz ist_from_guest
    cld
    CLEAR_AC
    PUSH_REGISTERS
    mov $MSR_GS_BASE, %ecx
    rdmsr
    shl $32, %rdx
    lea (%rax, %rdx), %rbx              /* whoever's GS base it was */
    mov REGS_SIZE(%rsp), %rax           /* top of this stack: the CPU's block */
    mov %rax, %rdx
    shr $32, %rdx
    wrmsr
    mov %cr3, %r12
    mov REGS_SIZE + 8(%rsp), %rax       /* where guests have tables of their own: some that map everything */
    test %rax, %rax
    jz 1f
    mov %rax, %cr3
1:  mov %rsp, %rdi
    sub $8, %rsp
    call \handler
    add $8, %rsp
    mov %r12, %cr3
    mov %rbx, %rax
    mov %rbx, %rdx
    shr $32, %rdx
    mov $MSR_GS_BASE, %ecx
    wrmsr
    POP_REGISTERS
    add $8, %rsp
    iretq
.endm

    IST_ENTRY debug_entry, handle_hypervisor_debug
    IST_ENTRY nmi_entry, handle_nmi
    IST_ENTRY machine_check_entry, handle_machine_check
    IST_ENTRY double_fault_entry, handle_double_fault

    /* Nothing of the hypervisor was interrupted: the frame moves to where other entries have it. */
    .global ist_from_guest
    .type ist_from_guest, @function
ist_from_guest:
    swapgs
    mov %rax, %gs:PERCPU_GUEST_RSP
    .global move_guest_frame
move_guest_frame:
    mov %gs:PERCPU_GUEST_REGS_END, %rax
    xchg %rax, %rsp
    .irp offset, 40, 32, 24, 16, 8, 0
    push \offset(%rax)
    .endr
    mov %gs:PERCPU_GUEST_RSP, %rax
    jmp guest_frame_complete

/* ---- System calls ----------------------------------------------------------------------------------- */

    .global syscall32_entry
    .type syscall32_entry, @function
syscall32_entry:
    swapgs
    mov %rsp, %gs:PERCPU_GUEST_RSP
    .global syscall32_on_full_tables
syscall32_on_full_tables:
    mov %gs:PERCPU_GUEST_REGS_END, %rsp
    push $GUEST_SS
    push %gs:PERCPU_GUEST_RSP
    push %r11
    push $GUEST_CS32
    push %rcx
    push $0
    movl $VECTOR_SYSCALL32, 4(%rsp)
    jmp system_call_complete

    /* The caller's RIP and RSP are lost. TF may be on: #DB at the first instruction clears it. */
    .global sysenter_entry
    .type sysenter_entry, @function
sysenter_entry:
    swapgs
    .global sysenter_on_full_tables
sysenter_on_full_tables:
    mov %gs:PERCPU_GUEST_REGS_END, %rsp
    push $GUEST_SS
    push $0
    pushfq
    orl $RFLAGS_IF, (%rsp)
    push $3
    push $0
    push $0
    movl $VECTOR_SYSENTER, 4(%rsp)
system_call_complete:
    cld
    CLEAR_AC
    PUSH_REGISTERS
    mov %gs:PERCPU_STACK_TOP, %rsp
    push $2                             /* NT, AC and the rest of a SYSENTER caller's flags */
    popfq
    mov %gs:PERCPU_CURRENT, %rdi
    xor %ebp, %ebp
    call handle_guest_syscall
    jmp exit_path

/* ---- Exit ------------------------------------------------------------------------------------------- */

    /* RDI is the current vCPU; goes on at `leave` when nothing is to be done before the guest runs. */
.macro LOOK_FOR_WORK leave
    cmpl $0, %gs:PERCPU_WORK
    jne exit_work
    cmpb $0, VCPU_EXIT_WORK(%rdi)
    jne exit_work
    mov VCPU_INFO(%rdi), %rax
    test %rax, %rax
    jz exit_without_info
    cmpb $0, (%rax)                     /* evtchn_upcall_pending */
    je \leave
    cmpb $0, 1(%rax)                    /* evtchn_upcall_mask */
    jne \leave
    call handle_event
    mov %gs:PERCPU_CURRENT, %rdi
    cmpl $0, %gs:PERCPU_WORK            /* to schedule: it couldn't take the frame, and its domain ends */
    jne exit_work
    jmp \leave
.endm

    /* RSP is the top of the CPU's stack. */
    .type exit_path, @function
exit_path:
    mov %gs:PERCPU_CURRENT, %rdi
    LOOK_FOR_WORK load_rest
exit_work:
    call handle_exit_work
    jmp exit_path
exit_without_info:
    cmpq $0, VCPU_DOMAIN(%rdi)
    jne load_rest
    call idle_loop
    jmp exit_path
load_rest:
    LOAD VCPU_REGS + REGS_R15, rdi, r15, r14, r13, r12
    mov (VCPU_REGS + REGS_RBX)(%rdi), %rbx
    jmp enter_guest

/* ---- The system call of 64-bit code, in and out ------------------------------------------------------ */

    .section .rodata, "a", @progbits
    .balign 8
syscall_code:                           /* error code and vector of arch::Registers */
    .long 0, VECTOR_SYSCALL
    .section .text.entry, "ax", @progbits

    .type user_syscall, @function
user_syscall:
    mov %rcx, %rdi
    call handle_user_syscall
    mov %gs:PERCPU_CURRENT, %rdi
    jmp exit_after_call

    .global syscall_entry
    .type syscall_entry, @function
    .balign 16
syscall_entry:                          /* SFMASK has cleared IF, TF, DF, AC, NT */
    swapgs
    mov %rsp, %gs:PERCPU_GUEST_RSP
    .global syscall_on_full_tables
syscall_on_full_tables:
    mov %gs:PERCPU_GUEST_REGS_END, %rsp
    push $GUEST_SS
    push %gs:PERCPU_GUEST_RSP
    push %r11
    push $GUEST_CS64
    push %rcx
    push syscall_code(%rip)
    PUSH_REGISTERS
    mov %gs:PERCPU_STACK_TOP, %rsp
    mov %gs:PERCPU_CURRENT, %rcx
    xor %ebp, %ebp
    cmpb $0, VCPU_IN_KERNEL(%rcx)
    je user_syscall
    mov %r10, %rcx                      /* the other arguments are where C++ expects them */
    cmp $HYPERCALL_TABLE_SIZE, %rax
    jae no_such_hypercall
    mov hypercall_table_in_use(%rip), %r10
    mov (%r10, %rax, 8), %rax
    call __x86_indirect_thunk_rax
    mov %gs:PERCPU_CURRENT, %rdi
    test %dl, %dl                       /* of hypercall::Return: is there a value? */
    jz hypercall_failed
    mov %rax, (VCPU_REGS + REGS_RAX)(%rdi)

    /* RDI is the vCPU that called, and the processor still has its rbx and r12 to r15. */
    .type exit_after_call, @function
exit_after_call:
    LOOK_FOR_WORK enter_guest
no_such_hypercall:
    mov $NO_SUCH_CALL, %eax
hypercall_failed:
    mov %eax, %edi
    call handle_failed_hypercall
    mov %gs:PERCPU_CURRENT, %rdi
    jmp exit_after_call

    /* RDI is the vCPU; its rbx and r12 to r15 are loaded. */
    .type enter_guest, @function
enter_guest:
    lea VCPU_REGS(%rdi), %rsp
    mov REGS_VECTOR(%rsp), %eax
    mov REGS_RIP(%rsp), %rcx
    mov REGS_RFLAGS(%rsp), %r11
    cmp $VECTOR_SYSRET, %eax            /* below are the vectors of exceptions and interrupts */
    jb exit_by_iret
    je 1f
    cmp $VECTOR_SYSCALL, %eax
    je 2f
    cmp $VECTOR_BOUNCED, %eax           /* the hypervisor's own choice of registers */
    je 3f
    jmp exit_by_iret
1:  cmpl $GUEST_CS64, REGS_CS(%rsp)
    jne exit_by_iret
    cmpl $GUEST_SS, REGS_SS(%rsp)
    jne exit_by_iret
    /* SYSRET faults in ring 0 with the guest's RSP when RIP isn't canonical (Intel): never let it. */
2:  mov %rcx, %rax
    shl $16, %rax
    sar $16, %rax
    cmp %rcx, %rax
    jne exit_by_iret
    test $RFLAGS_NO_SYSRET, %r11d
    jnz exit_by_iret
3:
    .global exit_by_sysret
exit_by_sysret:
    mov REGS_RBP(%rsp), %rbp
    LOAD REGS_R10, rsp, r10, r9, r8, rax
    LOAD REGS_RDX, rsp, rdx, rsi, rdi
    mov REGS_RSP(%rsp), %rsp
    swapgs
    sysretq

    .global exit_by_iret
    .type exit_by_iret, @function
exit_by_iret:
    mov REGS_RBP(%rsp), %rbp
    LOAD REGS_R11, rsp, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    add $REGS_RIP, %rsp
    swapgs
    .global iret_to_guest
    .type iret_to_guest, @function
iret_to_guest:
    iretq

    .global exit_to_current
    .type exit_to_current, @function
exit_to_current:
    mov %gs:PERCPU_STACK_TOP, %rsp
    xor %ebp, %ebp
    jmp exit_path

    .section .note.GNU-stack, "", @progbits
