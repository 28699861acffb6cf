// SPDX-License-Identifier: GPL-2.0-only
//
// The story: kernels switch floating-point state lazily: they set TS, and the first use raises #NM. The flag
// belongs to the guest although the hypervisor has its own use for it, and no register may be lost or leak
// between the two.

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

long fpu_taskswitch(u64 set) { return hypercall(__HYPERVISOR_fpu_taskswitch, set); }

void use_x87() { asm volatile("fninit"); }

void use_sse() { asm volatile("pxor %xmm0, %xmm0"); }

constinit unsigned faults = 0;

bool count(Frame&) {
    ++faults;
    return true;
}

void check_flag() {
    expect_eq(fpu_taskswitch(0), 0, "TS is cleared");
    expect(!catch_trap(use_x87).taken, "x87 can be used");
    expect_eq(fpu_taskswitch(1), 0, "TS is set");
    expect(catch_trap(use_x87).is(vector_nm), "x87 raises #NM");
    expect_eq(fpu_taskswitch(1), 0, "TS is set");
    expect(catch_trap(use_sse).is(vector_nm), "SSE raises #NM");
    expect_eq(fpu_taskswitch(0), 0, "TS is cleared");
    expect(!catch_trap(use_sse).taken, "SSE can be used");

    set_trap_hook(vector_nm, count);
    fpu_taskswitch(1);
    use_sse();
    expect_eq(faults, 1, "the hypervisor clears TS with the #NM: one fault, then the instruction runs");
    use_sse();
    expect_eq(faults, 1, "and no second");
    fpu_taskswitch(1);
    u64 cr0;
    asm volatile("movq %%cr0, %0" : "=r"(cr0));
    expect((cr0 & 8) != 0, "CR0.TS shows the guest's flag");
    asm volatile("clts");
    use_sse();
    expect_eq(faults, 1, "CLTS clears it");
    asm volatile("movq %%cr0, %0" : "=r"(cr0));
    expect((cr0 & 8) == 0, "and CR0 shows it");
    set_trap_hook(vector_nm, nullptr);
}

/// Two frames are given back and got as one extent, which the hypervisor clears.
void change_extent() {
    Page* pages = alloc_pages(2);
    xen_pfn_t frames[2] = {mfn_of(&pages[0]), mfn_of(&pages[1])};
    xen_memory_reservation_t op = {};
    set_xen_guest_handle(op.extent_start, frames);
    op.nr_extents = 2;
    op.domid = DOMID_SELF;
    for (unsigned i = 0; i < 2; ++i) {
        pages[i].word[511] = ~0ull;
        require_eq(update_va_mapping(std::bit_cast<u64>(&pages[i]), 0), 0, "a page is unmapped");
    }
    require_eq(memory_op(XENMEM_decrease_reservation, &op), 2, "two frames are given back");
    frames[0] = pfn_of(&pages[0]);
    op.nr_extents = 1;
    op.extent_order = 1;
    require_eq(memory_op(XENMEM_populate_physmap, &op), 1, "an extent of two");
    for (unsigned i = 0; i < 2; ++i) {
        p2m(pfn_of(&pages[i])) = frames[0] + i;
        require_eq(make_writable(&pages[i]), 0, "that can be mapped");
        expect(pages[i].word[0] == 0 && pages[i].word[511] == 0, "and is clear");
    }
}

void check_state() {
    alignas(16) u64 pattern[4] = {0x0123456789abcdef, 0xfedcba9876543210, 0x5555aaaa5555aaaa, 0x1};
    alignas(16) u64 seen[4] = {};
    asm volatile("movdqa %0, %%xmm0" : : "m"(pattern[0]));
    change_extent();
    fpu_taskswitch(1);
    change_extent();
    u64 cr0;
    asm volatile("movq %%cr0, %0" : "=r"(cr0));
    expect((cr0 & 8) != 0 && catch_trap(use_x87).is(vector_nm), "TS lives through cleared memory");
    asm volatile("movdqa %%xmm0, %0" : "=m"(seen[0]) : : "memory");
    expect(memcmp(pattern, seen, 16) == 0, "and so does xmm0");
    asm volatile("movdqa %0, %%xmm3; movdqa %1, %%xmm15" : : "m"(pattern[0]), "m"(pattern[2]));
    asm volatile("fninit; fldpi");
    for (unsigned i = 0; i < 50; ++i) xen_version(XENVER_version);
    expect_eq(set_timer(system_time() + 20'000'000), 0, "a timer");
    const long port = bind_virq(VIRQ_TIMER);
    unmask_port(static_cast<u32>(port));
    sched_op(SCHEDOP_block);
    catch_trap([] { asm volatile("ud2; nop; nop; nop"); });
    fpu_taskswitch(1);
    fpu_taskswitch(0);
    asm volatile("movdqa %%xmm3, %0; movdqa %%xmm15, %1" : "=m"(seen[0]), "=m"(seen[2]) : : "memory");
    expect(memcmp(pattern, seen, sizeof(seen)) == 0, "xmm registers live through hypercalls, idling, traps, TS");
    u64 pi = 0;
    asm volatile("fstpl %0" : "=m"(pi));
    expect_eq(pi, 0x400921fb54442d18, "and the x87 stack");
    u32 control = 0;
    asm volatile("stmxcsr %0" : "=m"(control));
    expect_eq(control & 0xffc0, 0x1f80, "MXCSR has its architectural start value");
}

void check_exceptions() {
    u32 unmasked = 0x1f80 & ~0x200u; // divide by zero
    const Trap trap = catch_trap([&unmasked] {
        asm volatile("ldmxcsr %0; pxor %%xmm1, %%xmm1; movl $1, %%eax; cvtsi2sdl %%eax, %%xmm0; divsd %%xmm1, %%xmm0"
                     :
                     : "m"(unmasked)
                     : "eax");
    });
    expect(!trap.taken || trap.is(19), "an unmasked SSE exception is #XM or not raised by the emulator");
    u32 masked = 0x1f80;
    asm volatile("ldmxcsr %0" : : "m"(masked));
}

} // namespace

GUEST("fpu-taskswitch") {
    check_flag();
    check_state();
    check_exceptions();
}
