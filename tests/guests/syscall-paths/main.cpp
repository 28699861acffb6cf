// SPDX-License-Identifier: GPL-2.0-only
//
// The story: old kernels call through the hypercall page, new ones execute SYSCALL themselves; both have to
// arrive at the same place, keep every register but rax, rcx and r11, survive any number in rax, and give
// -ENOSYS for a hypercall that is not there.
//
// again: xpti=yes

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

// Fills the registers with patterns, makes the call and gathers every difference in `changed`.
#define CALL_AND_COMPARE(call, number, result, changed, carry)                                                         \
    asm volatile("pushq %%rbp\n"                                                                                       \
                 "movq $0x1bb, %%rbx\n movq $0x1b9, %%rbp\n movq $0x10d, %%r9\n movq $0x112, %%r12\n"                  \
                 "movq $0x113, %%r13\n movq $0x114, %%r14\n movq $0x115, %%r15\n"                                      \
                 "stc\n" call "\n setc %%dl\n"                                                                         \
                 "xorq $0x1bb, %%rbx\n xorq $0x1b9, %%rbp\n orq %%rbp, %%rbx\n"                                        \
                 "xorq $0x10d, %%r9\n orq %%r9, %%rbx\n xorq $0x112, %%r12\n orq %%r12, %%rbx\n"                       \
                 "xorq $0x113, %%r13\n orq %%r13, %%rbx\n xorq $0x114, %%r14\n orq %%r14, %%rbx\n"                     \
                 "xorq $0x115, %%r15\n orq %%r15, %%rbx\n popq %%rbp"                                                  \
                 : "=a"(result), "=b"(changed), "=d"(carry)                                                            \
                 : "0"(number), "D"(0), "S"(0)                                                                         \
                 : "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc")

void check_registers() {
    long result;
    u64 changed;
    u8 carry;
    CALL_AND_COMPARE("syscall", __HYPERVISOR_xen_version, result, changed, carry);
    expect_eq(result, 4 << 16 | 17, "SYSCALL reaches the hypervisor");
    expect_eq(changed, 0, "SYSCALL keeps rbx, rbp, r9, r12 to r15");
    expect(carry == 1, "SYSCALL keeps the flags");
    CALL_AND_COMPARE("call hypercall_page + 17 * 32", 0, result, changed, carry);
    expect_eq(result, 4 << 16 | 17, "the page reaches the hypervisor");
    expect_eq(changed, 0, "the page keeps rbx, rbp, r9, r12 to r15");
    expect(carry == 1, "the page keeps the flags");

    u64 rcx = 0xccc, r11 = 0x111;
    asm volatile("movq %0, %%rcx; movq %1, %%r11; xorl %%edi, %%edi; call hypercall_page + 17 * 32;"
                 "movq %%rcx, %0; movq %%r11, %1"
                 : "+b"(rcx), "+S"(r11)
                 :
                 : "rax", "rcx", "rdx", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    expect(rcx == 0xccc, "a call through the page keeps rcx");
}

void check_numbers() {
    // 11, 43 to 47 and 56 to 63 are unused; 64 and above do not exist at all.
    for (u64 number : {11ull, 43ull, 47ull, 57ull, 63ull, 64ull, 65ull, 1000ull, 0x80000000ull, 0xffffffffull})
        expect_eq(bare_hypercall(number), -XEN_ENOSYS, "a number without a hypercall");
    expect_eq(hypercall(63), -XEN_ENOSYS, "the last stub of the page");
    const long high = bare_hypercall(0x100000000ull | __HYPERVISOR_xen_version);
    expect(high == (4 << 16 | 17) || high == -XEN_ENOSYS, "a number above 32 bits has no third meaning");
}

void check_page() {
    const u8* stub = reinterpret_cast<const u8*>(&hypercall_page[0]);
    unsigned filled = 0;
    for (unsigned number = 0; number < 64; ++number) filled += stub[number * 32] != 0xcc;
    expect(filled >= 48, "the page is filled with stubs");
    expect((*entry_of(std::bit_cast<u64>(stub)) & (pte_present | pte_nx)) == pte_present, "it can be executed");
}

// A page that the guest fills in later by writing the address to an MSR, as xen/arch-x86/cpuid.h describes.
void check_msr_page() {
    Page* page = alloc_page();
    const CpuidLeaf leaf = forced_cpuid(0x40000002);
    expect_eq(leaf.eax, 1, "one hypercall page");
    // A PV guest's frame numbers are machine frame numbers.
    const u64 value = mfn_of(page) << 12;
    const Trap trap = catch_trap([&leaf, value] { wrmsr(leaf.ebx, value); });
    expect(!trap.taken, "the MSR of the hypercall page can be written");
    expect(page->word[0] != 0, "and the page is filled");
    if (!trap.taken && page->word[0] != 0) {
        u64 result = std::bit_cast<u64>(page) + __HYPERVISOR_xen_version * 32;
        asm volatile("call *%0" : "+a"(result) : "D"(0), "S"(0) : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
        expect_eq(result, 4 << 16 | 17, "and it works");
    }
}

} // namespace

GUEST("syscall-paths") {
    check_registers();
    check_numbers();
    check_page();
    check_msr_page();
}
