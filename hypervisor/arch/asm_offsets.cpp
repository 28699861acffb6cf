// SPDX-License-Identifier: GPL-2.0-only

// Compiled to assembly only: the build turns each line "->NAME value" into a definition of asm_offsets.h.

#include "arch/boot/trampoline.hpp"
#include "arch/descriptor.hpp"
#include "arch/handlers.hpp"
#include "arch/image.hpp"
#include "arch/msr.hpp"
#include "domain/vcpu.hpp"

#pragma GCC diagnostic ignored "-Winvalid-offsetof"

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define DEFINE(name, value) asm volatile("\n->" #name " %0" ::"i"(static_cast<u64>(value)))

namespace streak {

static_assert((offsetof(Vcpu, regs) + sizeof(arch::Registers)) % 16 == 0, "the processor aligns rsp0");
static_assert(FLAT_KERNEL_CS == arch::selector::guest_cs64 && FLAT_KERNEL_SS == arch::selector::guest_ss,
              "what is behind vector_bounced");
static_assert(offsetof(vcpu_info_t, evtchn_upcall_pending) == 0 && offsetof(vcpu_info_t, evtchn_upcall_mask) == 1);

[[gnu::used]] static void offsets() {
    using arch::ApStart;
    using arch::PerCpu;
    using arch::Registers;

    DEFINE(IMAGE_BASE_ADDRESS, arch::image_base);
    DEFINE(IMAGE_LOAD_ADDRESS, arch::image_load_address);

    DEFINE(PERCPU_SELF, offsetof(PerCpu, self));
    DEFINE(PERCPU_CURRENT, offsetof(PerCpu, current));
    DEFINE(PERCPU_GUEST_RSP, offsetof(PerCpu, guest_rsp));
    DEFINE(PERCPU_STACK_TOP, offsetof(PerCpu, stack_top));
    DEFINE(PERCPU_GUEST_REGS_END, offsetof(PerCpu, guest_regs_end));
    DEFINE(PERCPU_WORK, offsetof(PerCpu, work));
    DEFINE(PERCPU_CR3, offsetof(PerCpu, cr3));
    DEFINE(PERCPU_ENTRY_STACK, offsetof(PerCpu, entry_stack));
    DEFINE(PERCPU_GUEST_ROOTS, offsetof(PerCpu, guest_roots));
    DEFINE(ROOT_SIZE, sizeof(arch::GuestRoot));
    DEFINE(ROOT_SHOWN_CR3, offsetof(arch::GuestRoot, shown_cr3));
    DEFINE(ROOT_CR3, offsetof(arch::GuestRoot, cr3));
    DEFINE(PERCPU_KEEP_TLB, offsetof(PerCpu, keep_tlb));

    DEFINE(VCPU_REGS, offsetof(Vcpu, regs));
    DEFINE(VCPU_INFO, offsetof(Vcpu, info));
    DEFINE(VCPU_IN_KERNEL, offsetof(Vcpu, in_kernel));
    DEFINE(VCPU_EXIT_WORK, offsetof(Vcpu, exit_work));
    DEFINE(VCPU_DOMAIN, offsetof(Vcpu, domain));

    DEFINE(REGS_SIZE, sizeof(Registers));
    DEFINE(REGS_R15, offsetof(Registers, r15));
    DEFINE(REGS_RBP, offsetof(Registers, rbp));
    DEFINE(REGS_RBX, offsetof(Registers, rbx));
    DEFINE(REGS_R11, offsetof(Registers, r11));
    DEFINE(REGS_R10, offsetof(Registers, r10));
    DEFINE(REGS_R9, offsetof(Registers, r9));
    DEFINE(REGS_R8, offsetof(Registers, r8));
    DEFINE(REGS_RAX, offsetof(Registers, rax));
    DEFINE(REGS_RCX, offsetof(Registers, rcx));
    DEFINE(REGS_RDX, offsetof(Registers, rdx));
    DEFINE(REGS_RSI, offsetof(Registers, rsi));
    DEFINE(REGS_RDI, offsetof(Registers, rdi));
    DEFINE(REGS_VECTOR, offsetof(Registers, vector));
    DEFINE(REGS_RIP, offsetof(Registers, rip));
    DEFINE(REGS_CS, offsetof(Registers, cs));
    DEFINE(REGS_RFLAGS, offsetof(Registers, rflags));
    DEFINE(REGS_RSP, offsetof(Registers, rsp));
    DEFINE(REGS_SS, offsetof(Registers, ss));

    DEFINE(VECTOR_SYSCALL, arch::vector_syscall);
    DEFINE(VECTOR_SYSRET, arch::vector_sysret);
    DEFINE(VECTOR_BOUNCED, arch::vector_bounced);
    DEFINE(VECTOR_SYSCALL32, arch::vector_syscall32);
    DEFINE(VECTOR_SYSENTER, arch::vector_sysenter);
    DEFINE(RFLAGS_NO_SYSRET, arch::rflags::tf | arch::rflags::rf | arch::rflags::vm | arch::rflags::nt);
    DEFINE(RFLAGS_IF, arch::rflags::if_);

    DEFINE(HYPERCALL_TABLE_SIZE, arch::hypercall_table_size);
    DEFINE(NO_SUCH_CALL, Errno::ENOSYS);
    DEFINE(GUEST_CS64, arch::selector::guest_cs64);
    DEFINE(GUEST_CS32, arch::selector::guest_cs32);
    DEFINE(HYPERVISOR_DS, arch::selector::hypervisor_ds);
    DEFINE(GUEST_SS, arch::selector::guest_ss);

    DEFINE(MSR_EFER, arch::msr::efer);
    DEFINE(MSR_GS_BASE, arch::msr::gs_base);
    DEFINE(EFER_BITS, arch::efer::sce | arch::efer::lme | arch::efer::nxe);

    DEFINE(AP_START_CR3, offsetof(ApStart, cr3));
    DEFINE(AP_START_STACK, offsetof(ApStart, stack_top));
    DEFINE(AP_START_ENTRY, offsetof(ApStart, entry));
    DEFINE(AP_START_PERCPU, offsetof(ApStart, percpu));
    DEFINE(AP_START_SIZE, sizeof(ApStart));
}

} // namespace streak
