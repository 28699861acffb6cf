// SPDX-License-Identifier: GPL-2.0-only
//
// The story: Linux switches contexts with one multicall. Each entry has to be a hypercall like any other, a
// failing one must not stop the rest, the array is guest memory and may vanish, and an iret inside must leave
// the batch at once with the rax of its frame.
//
// again: xpti=yes

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

multicall_entry_t call(unsigned long number, u64 first = 0, u64 second = 0, u64 third = 0) {
    multicall_entry_t entry = {};
    entry.op = number;
    entry.result = 0x55;
    entry.args[0] = first;
    entry.args[1] = second;
    entry.args[2] = third;
    return entry;
}

void check_results() {
    xen_extraversion_t text = {};
    multicall_entry_t calls[] = {
        call(__HYPERVISOR_xen_version, XENVER_version),
        call(__HYPERVISOR_xen_version, XENVER_extraversion, std::bit_cast<u64>(&text[0])),
        call(63),
        call(1000),
        call(__HYPERVISOR_xen_version, 99),
        call(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, std::bit_cast<u64>(&trap_stack_end[0])),
        call(__HYPERVISOR_xen_version, XENVER_pagesize)};
    expect_eq(multicall(calls, 7), 0, "a batch");
    expect_eq(calls[0].result, 4 << 16 | 17, "results are stored");
    expect(calls[1].result == 0 && text[0] == '.', "arguments are passed");
    expect_eq(calls[2].result, -XEN_ENOSYS, "a number without a hypercall");
    expect_eq(calls[3].result, -XEN_ENOSYS, "a number beyond the table");
    expect_eq(calls[4].result, -XEN_ENOSYS, "an error of a call");
    expect_eq(calls[5].result, 0, "does not stop the next");
    expect_eq(calls[6].result, 4096, "to the last");
    expect_eq(multicall(calls, 0), 0, "an empty batch");
    expect_eq(multicall(nullptr, 0), 0, "from nowhere");
}

void check_long() {
    static multicall_entry_t calls[600];
    for (auto& entry : calls) entry = call(__HYPERVISOR_xen_version, XENVER_version);
    expect_eq(multicall(calls, 600), 0, "a batch of 600");
    unsigned good = 0;
    for (const auto& entry : calls) good += entry.result == (4 << 16 | 17);
    expect_eq(good, 600, "is done whole");
}

void check_memory() {
    expect_eq(multicall(nullptr, 3), -XEN_EFAULT, "a batch at address 0");
    expect_error(multicall(reinterpret_cast<multicall_entry_t*>(HYPERVISOR_VIRT_START), 2), "in the hypervisor");
    expect_error(multicall(reinterpret_cast<multicall_entry_t*>(0x7ffffffffff0), 2), "at the canonical edge");
    Page* pages = alloc_pages(2);
    auto* calls = reinterpret_cast<multicall_entry_t*>(pages) + page_size / sizeof(multicall_entry_t) - 1;
    calls[0] = call(__HYPERVISOR_xen_version, XENVER_pagesize);
    calls[1] = call(__HYPERVISOR_xen_version, XENVER_pagesize);
    require_eq(update_va_mapping(std::bit_cast<u64>(&pages[1]), 0), 0, "the second page goes");
    expect_eq(multicall(calls, 2), -XEN_EFAULT, "a batch that runs into a hole");
    expect_eq(calls[0].result, 4096, "is done up to it");

    Page* constant = alloc_page();
    auto* fixed = reinterpret_cast<multicall_entry_t*>(constant);
    fixed[0] = call(__HYPERVISOR_xen_version, XENVER_pagesize);
    require_eq(make_readonly(constant), 0, "a read-only page");
    expect_eq(multicall(fixed, 1), -XEN_EFAULT, "results cannot be stored in it");
}

void check_iret() {
    static multicall_entry_t calls[3];
    calls[0] = call(__HYPERVISOR_xen_version, XENVER_pagesize);
    calls[1] = call(__HYPERVISOR_iret);
    calls[2] = call(__HYPERVISOR_xen_version, XENVER_pagesize);
    u64 rax = 13, first = std::bit_cast<u64>(&calls[0]), count = 3, flags;
    asm volatile("movq %%rsp, %%rbx\n"
                 "pushq %[ss]\n pushq %%rbx\n pushq $0x3\n pushq %[cs]\n leaq 1f(%%rip), %%rcx\n pushq %%rcx\n"
                 "pushq $0\n pushq $0x3c\n pushq $0x3b\n pushq $0x1a2b3c\n"
                 "syscall\n"
                 "ud2\n"
                 "1: pushfq\n popq %[flags]\n"
                 : "+a"(rax), "+D"(first), "+S"(count), [flags] "=&d"(flags)
                 : [ss] "i"(FLAT_KERNEL_SS), [cs] "i"(kernel_cs_in_frame)
                 : "rbx", "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
    expect_eq(rax, 0x1a2b3c, "an iret inside restores rax");
    expect_eq(flags & 1, 1, "and the flags");
    expect_eq(calls[0].result, 4096, "the call before it was made");
    expect_eq(calls[2].result, 0x55, "the one behind it was not");
    expect_eq(this_vcpu().evtchn_upcall_mask, 1, "and the upcall mask follows the frame");
}

void check_updates() {
    Page *data = alloc_page(), *other = alloc_page();
    constexpr u64 window = 0x20000000000;
    require_eq(map(window, mfn_of(data), pte_rw), 0, "a window");
    data->word[0] = 1;
    other->word[0] = 2;
    multicall_entry_t calls[] = {call(__HYPERVISOR_update_va_mapping, window, pte(mfn_of(other), pte_rw), UVMF_INVLPG),
                                 call(__HYPERVISOR_update_va_mapping, window, pte(root_mfn(), pte_rw), UVMF_INVLPG)};
    expect_eq(multicall(calls, 2), 0, "updates in a batch");
    expect_eq(calls[0].result, 0, "a good one");
    expect_error(calls[1].result, "a refused one");
    expect_eq(*reinterpret_cast<volatile u64*>(window), 2, "the good one took effect");
    expect_eq(set_entry(entry_of(window), 0), 0, "the window goes");
}

} // namespace

GUEST("multicall-iret") {
    check_results();
    check_long();
    check_memory();
    check_iret();
    check_updates();
}
