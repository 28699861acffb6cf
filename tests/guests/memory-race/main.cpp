// SPDX-License-Identifier: GPL-2.0-only
//
// The story: exchange takes frames off the domain and gives it others. If the account shrank in between, another
// vCPU could fill the room, and the domain would own too much, or the hypervisor could not put the frames back.
// One vCPU exchanges, successfully and not, while the other takes and returns single frames as fast as it can;
// in the end the reservation is what it was.
//
// qemu: -smp 2

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/second.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr unsigned order = 3, frames = 1u << order, rounds = 2000;
constinit u32 running = 0, stop = 0;
constinit u64 taken = 0;
constinit u64 spare_pfn = 0;

u32 load(u32& word) { return __atomic_load_n(&word, __ATOMIC_SEQ_CST); }
void store(u32& word, u32 value) { __atomic_store_n(&word, value, __ATOMIC_SEQ_CST); }

long reservation(int command, xen_pfn_t* extent) {
    xen_memory_reservation_t op = {};
    set_xen_guest_handle(op.extent_start, extent);
    op.nr_extents = 1;
    op.domid = DOMID_SELF;
    return memory_op(command, &op);
}

long current() {
    domid_t self = DOMID_SELF;
    return memory_op(XENMEM_current_reservation, &self);
}

extern "C" [[noreturn]] void racing_main() {
    store(running, 1);
    while (load(stop) == 0) {
        xen_pfn_t extent = spare_pfn;
        if (reservation(XENMEM_populate_physmap, &extent) == 1) {
            ++taken;
            reservation(XENMEM_decrease_reservation, &extent);
        }
    }
    store(running, 2);
    vcpu_op(VCPUOP_down, 1);
    for (;;) asm volatile("pause");
}

void start_racer() {
    static vcpu_guest_context_t context;
    fill_context(context, racing_main, alloc_pages(4));
    require_eq(vcpu_op(VCPUOP_initialise, 1, &context), 0, "a second vCPU");
    require_eq(vcpu_op(VCPUOP_up, 1), 0, "runs");
    while (load(running) == 0) sched_op(SCHEDOP_yield);
}

/// Exchanges `in` for one extent of the same size; with `bad`, its last frame is none.
long exchange(xen_pfn_t (&in)[frames], bool bad, xen_pfn_t& out) {
    const xen_pfn_t last = in[frames - 1];
    if (bad) in[frames - 1] = 1ull << 40;
    xen_memory_exchange_t op = {};
    set_xen_guest_handle(op.in.extent_start, in);
    op.in.nr_extents = frames;
    op.in.domid = DOMID_SELF;
    set_xen_guest_handle(op.out.extent_start, &out);
    op.out.nr_extents = 1;
    op.out.extent_order = order;
    op.out.domid = DOMID_SELF;
    const long result = memory_op(XENMEM_exchange, &op);
    in[frames - 1] = last;
    return result;
}

} // namespace

GUEST("memory-race") {
    Page* pages = alloc_pages(frames);
    static xen_pfn_t in[frames];
    for (unsigned i = 0; i < frames; ++i) {
        in[i] = mfn_of(&pages[i]);
        require_eq(update_va_mapping(std::bit_cast<u64>(&pages[i]), 0, UVMF_TLB_FLUSH | UVMF_ALL), 0,
                   "pages are unmapped");
    }
    spare_pfn = pfn_of(pages);
    const long before = current();
    start_racer();
    unsigned done = 0, refused = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        xen_pfn_t out = pfn_of(pages);
        const bool bad = round % 2 != 0;
        const long result = exchange(in, bad, out);
        if (bad && result < 0) ++refused;
        if (bad || result != 0) continue;
        ++done;
        for (unsigned i = 0; i < frames; ++i) in[i] = out + i;
    }
    store(stop, 1);
    while (load(running) != 2) sched_op(SCHEDOP_yield);
    expect_eq(refused, rounds / 2, "every exchange with a bad frame is refused");
    expect(done != 0, "good ones succeed");
    expect_eq(current(), before, "the reservation is what it was");
}
