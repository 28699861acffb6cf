// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a PV kernel still executes CPUID, RDMSR, WRMSR and MOV CR, and the hypervisor answers for the
// processor. What it offers must be usable in ring 3, what it refuses must be a #GP(0) at the instruction,
// and no write may reach the machine's own system registers.

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u32 msr_efer = 0xc0000080, msr_lstar = 0xc0000082, msr_fs_base = 0xc0000100, msr_gs_base = 0xc0000101,
              msr_kernel_gs_base = 0xc0000102;

bool bit(u32 word, unsigned number) { return (word >> number & 1) != 0; }

void check_leaves() {
    const CpuidLeaf base = forced_cpuid(0x40000000);
    expect(base.ebx == XEN_CPUID_SIGNATURE_EBX && base.ecx == XEN_CPUID_SIGNATURE_ECX &&
               base.edx == XEN_CPUID_SIGNATURE_EDX,
           "leaf 0x40000000 has the signature");
    expect(base.eax >= 0x40000002, "and names its last leaf");
    expect_eq(forced_cpuid(0x40000001).eax, 4 << 16 | 17, "leaf 0x40000001 is the version");
    const CpuidLeaf page = forced_cpuid(0x40000002);
    expect(page.eax == 1 && page.ebx == 0x40000000, "leaf 0x40000002 is the hypercall page");
    expect((page.ecx & XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD) != 0, "with PRESERVE_AD");
    const CpuidLeaf beyond = forced_cpuid(0x40000100);
    expect(beyond.ebx != XEN_CPUID_SIGNATURE_EBX, "no second set of leaves");

    const CpuidLeaf vendor = forced_cpuid(0);
    expect(vendor.eax >= 1 && vendor.ebx != 0, "leaf 0");
    const CpuidLeaf features = forced_cpuid(1);
    expect(bit(features.ecx, 31), "leaf 1 says hypervisor");
    expect(!bit(features.ecx, 3) && !bit(features.ecx, 5), "no MONITOR, no VMX");
    expect(bit(features.edx, 0) && bit(features.edx, 24) && bit(features.edx, 26) && bit(features.edx, 6),
           "FPU, FXSR, SSE2, PAE");
    const CpuidLeaf extended = forced_cpuid(0x80000001);
    expect(bit(extended.edx, 29) && bit(extended.edx, 20) && bit(extended.edx, 11), "long mode, NX, SYSCALL");
    expect(!bit(extended.ecx, 2), "no SVM");
    expect(!catch_trap([] { plain_cpuid(1); }).taken, "CPUID without the prefix works too");
    const u64 rip_after = std::bit_cast<u64>(&forced_cpuid);
    expect(rip_after != 0, "the prefix is skipped with the instruction");
}

void check_prefix() {
    const Trap trap = catch_trap([] { asm volatile(".byte 0x0f,0x0b,0x78,0x65,0x6e; nop; nop"); });
    expect(trap.is(vector_ud), "the prefix on another instruction is #UD");
    expect_eq(*reinterpret_cast<const u16*>(trap.frame.rip), 0x0b0f, "with rip at the prefix");
}

void check_bases() {
    for (u32 index : {msr_fs_base, msr_gs_base, msr_kernel_gs_base}) {
        expect(!catch_trap([index] { wrmsr(index, 0x123456789000); }).taken, "a base register can be written");
        expect_eq(rdmsr(index), 0x123456789000, "and read back");
        expect(catch_trap([index] { wrmsr(index, 0x8000000000000000); }).is(vector_gp, 0),
               "but not with a non-canonical address");
        expect_eq(rdmsr(index), 0x123456789000, "which leaves it alone");
        wrmsr(index, 0);
    }
    static u64 word = 0xfeed;
    wrmsr(msr_fs_base, std::bit_cast<u64>(&word));
    u64 seen;
    asm volatile("movq %%fs:0, %0" : "=r"(seen));
    expect_eq(seen, 0xfeed, "the base is the processor's");
    wrmsr(msr_fs_base, 0);
}

void check_others() {
    const u64 efer = rdmsr(msr_efer);
    expect((efer & 0x501) == 0x501, "EFER shows SCE, LME and LMA");
    expect(!catch_trap([] { rdmsr(0x10); }).taken, "the time stamp counter");
    expect(!catch_trap([] { rdmsr(0x1b); }).taken, "the APIC base");
    expect(!catch_trap([] { rdmsr(0x277); }).taken, "the page attribute table");
    for (u32 index : {0x12345678u, 0x3fffffffu, 0xdeadbeefu}) {
        const Trap trap = catch_trap([index] { rdmsr(index); });
        expect(trap.is(vector_gp, 0), "RDMSR of nothing is #GP(0)");
        expect_eq(*reinterpret_cast<const u16*>(trap.frame.rip), 0x320f, "with rip at the instruction");
        expect(catch_trap([index] { wrmsr(index, 1); }).is(vector_gp, 0), "WRMSR of nothing is #GP(0)");
    }
    for (u32 index : {msr_lstar, 0xc0000081u, 0xc0000084u, 0x174u, 0x176u, 0x1d9u, 0xc0010117u})
        catch_trap([index] { wrmsr(index, 0x1000); });
    catch_trap([] { wrmsr(msr_efer, 0); });
    expect_eq(bare_hypercall(__HYPERVISOR_xen_version), 4 << 16 | 17, "no write reached the system call registers");
    expect_eq(rdmsr(msr_efer), efer, "nor EFER");
}

template <typename F> u64 read_control(F read, std::string_view text) {
    u64 value = 0;
    expect(!catch_trap([&] { value = read(); }).taken, text);
    return value;
}

void check_control_registers() {
    const auto cr0 = [] {
        u64 v;
        asm volatile("movq %%cr0, %0" : "=r"(v));
        return v;
    };
    const auto cr3 = [] {
        u64 v;
        asm volatile("movq %%cr3, %0" : "=r"(v));
        return v;
    };
    const auto cr4 = [] {
        u64 v;
        asm volatile("movq %%cr4, %0" : "=r"(v));
        return v;
    };
    const auto cr2 = [] {
        u64 v;
        asm volatile("movq %%cr2, %0" : "=r"(v));
        return v;
    };
    const u64 control = read_control(cr0, "CR0 can be read");
    expect((control & 0x80000001) == 0x80000001, "and shows protection and paging");
    expect_eq(read_control(cr3, "CR3 can be read"), xen_pfn_to_cr3(root_mfn()), "and is the L4's machine address");
    const u64 features = read_control(cr4, "CR4 can be read");
    expect((features & 0x20) != 0, "and shows PAE");
    catch_trap([] { *reinterpret_cast<volatile u64*>(0x7f0000001238) = 0; });
    expect_eq(read_control(cr2, "CR2 can be read"), 0x7f0000001238, "and is the last fault's address");
    expect(!catch_trap([control] { asm volatile("movq %0, %%cr0" : : "r"(control)); }).taken, "CR0 can be rewritten");
    expect(!catch_trap([features] { asm volatile("movq %0, %%cr4" : : "r"(features)); }).taken, "CR4 too");
    expect(!catch_trap([] { asm volatile("movq %0, %%cr3" : : "r"(xen_pfn_to_cr3(root_mfn()))); }).taken, "CR3 too");
    expect(catch_trap([control] {
               asm volatile("movq %0, %%cr0" : : "r"(control & ~0x80000000));
           }).taken ||
               (cr0() & 0x80000000) != 0,
           "paging cannot be turned off");
    expect(!catch_trap([] { asm volatile("clts"); }).taken, "CLTS");
    expect(!catch_trap([] { rdtsc(); }).taken, "RDTSC");
}

} // namespace

GUEST("msr-cpuid") {
    check_leaves();
    check_prefix();
    check_bases();
    check_others();
    check_control_registers();
}
