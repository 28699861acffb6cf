// SPDX-License-Identifier: GPL-2.0-only
//
// The story: with VMASST_TYPE_writable_pagetables a kernel may write to an L1 as if it were writable; the
// hypervisor decodes the faulting instruction and carries out the checked update. Wrong decoding corrupts
// memory, a missing check opens the machine, and a user's own write fault must never be taken for one.

#include "tests/guests/lib/user.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constinit Page* table = nullptr;
constinit Page* data = nullptr;

volatile u64& entry(unsigned slot) { return table->word[slot]; }

// The hypervisor may add the user and global bits to entries of the kernel.
constexpr u64 visible = ~(pte_user | 0x100ull);

void check_instructions() {
    const u64 rw = pte(mfn_of(data), pte_rw), ro = pte(mfn_of(data), pte_ro);
    expect(!catch_trap([rw] { entry(0) = rw; }).taken, "MOV of an entry");
    expect_eq(entry(0) & visible, rw & visible, "arrives");
    u64 value = ro;
    expect(!catch_trap([&value] { asm volatile("xchgq %0, %1" : "+r"(value), "+m"(table->word[0])); }).taken, "XCHG");
    expect_eq(value & visible, rw & visible, "gives the old entry");
    expect_eq(entry(0) & visible, ro & visible, "and stores the new one");

    u64 expected = entry(0);
    bool equal = false;
    const auto compare_exchange = [&] {
        asm volatile("lock cmpxchgq %3, %1" : "+a"(expected), "+m"(table->word[0]), "=@ccz"(equal) : "r"(rw));
    };
    expect(!catch_trap(compare_exchange).taken && equal, "LOCK CMPXCHG with the right old value");
    expect_eq(entry(0) & visible, rw & visible, "stores");
    expected = 0;
    expect(!catch_trap(compare_exchange).taken && !equal, "LOCK CMPXCHG with a wrong old value");
    expect_eq(expected & visible, rw & visible, "gives the present one");

    expect(!catch_trap([] { asm volatile("lock btrq $1, %0"
                                         : "+m"(table->word[0])); }).taken,
           "LOCK BTR of the write bit");
    expect_eq(entry(0) & visible, rw & ~pte_write & visible, "clears it");
    expect(!catch_trap([] { asm volatile("lock andb $0xdf, %0" : "+m"(table->word[0])); }).taken, "a byte LOCK AND");
    expect_eq(entry(0) & pte_accessed, 0, "clears the accessed bit");
    expect(!catch_trap([] { asm volatile("movq $0, %0" : "=m"(table->word[0])); }).taken, "MOV of an immediate");
    expect_eq(entry(0), 0, "clears the entry");
    expect(!catch_trap([rw] {
                asm volatile("movq %1, %0" : "=m"(table->word[511]) : "r"(rw));
            }).taken,
           "the last slot");
    expect_eq(entry(511) & visible, rw & visible, "is written");
    expect(!catch_trap([] { entry(511) = 0; }).taken, "and cleared");
}

void check_refusals() {
    const u64 hostile = pte(mfn_of(table), pte_rw);
    const Trap trap = catch_trap([hostile] { entry(1) = hostile; });
    expect(trap.is(vector_pf, 3), "an entry that would be refused is a page fault of the guest, error 3");
    expect_eq(trap.cr2, std::bit_cast<u64>(&table->word[1]), "with its address");
    expect_eq(entry(1), 0, "and no trace");
    expect(catch_trap([] { entry(1) = 1ull << 51 | pte_rw; }).is(vector_pf, 3), "a frame beyond the machine");

    Page* upper = alloc_page();
    require_eq(make_readonly(upper), 0, "a page for an L2");
    require_eq(pin(2, upper), 0, "an L2");
    expect(catch_trap([upper] {
               static_cast<volatile u64&>(upper->word[0]) = pte(mfn_of(table), pte_rw);
           }).is(vector_pf, 3),
           "an L2 is not written that way");
    Page* plain = alloc_page();
    require_eq(make_readonly(plain), 0, "a read-only page");
    expect(catch_trap([plain] { static_cast<volatile u64&>(plain->word[0]) = 1; }).is(vector_pf, 3),
           "a read-only page that is no table stays read-only");
}

void check_without_assist() {
    expect_eq(hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_disable, VMASST_TYPE_writable_pagetables), 0, "off");
    // The incumbent emulates for the hardware domain all the same: both are lawful, a half-done one is not.
    const Trap trap = catch_trap([] { entry(2) = pte(mfn_of(data), pte_ro); });
    if (trap.taken) expect(trap.is(vector_pf, 3) && entry(2) == 0, "without it a write is a fault and does nothing");
    else expect_eq(entry(2) >> 12, mfn_of(data), "or it is emulated whole");
    Line() << (trap.taken ? "without the assist: fault" : "without the assist: emulated");
    expect_error(hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 63), "an unknown assist");
    expect_error(hypercall(__HYPERVISOR_vm_assist, 7, VMASST_TYPE_writable_pagetables), "an unknown command");
    expect_eq(hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0, "on again");
}

USER_CODE void user_write() {
    asm volatile("movabsq %0, %%rax; movq $0, 24(%%rax); int3" : : "i"(user_data + page_size) : "rax");
}

void check_user() {
    init_user();
    require_eq(map(user_data + page_size, mfn_of(table), pte_ro), 0, "the user sees the table read-only");
    entry(3) = pte(mfn_of(data), pte_ro);
    const u64 before = entry(3);
    const Trap trap = run_user(user_write);
    expect(trap.is(vector_pf, 7), "a user's write to it is the user's page fault, error 7");
    expect_eq(entry(3), before, "and changes nothing");
}

} // namespace

GUEST("pt-writable") {
    table = alloc_page();
    data = alloc_page();
    require_eq(make_readonly(table), 0, "a page for an L1");
    require_eq(pin(1, table), 0, "an L1");
    require_eq(hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0, "vm_assist");
    check_instructions();
    check_refusals();
    check_without_assist();
    check_user();
}
