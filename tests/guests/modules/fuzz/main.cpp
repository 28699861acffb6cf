// SPDX-License-Identifier: GPL-2.0-only
//
// A kernel for domains without privileges, which fuzz-domu starts: the fuzzer, or its neighbour.

#include "tests/guests/lib/second.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"
#include "tests/guests/modules/fuzz/fuzzer.hpp"
#include "tests/guests/modules/fuzz/neighbour.hpp"

using namespace guest;

namespace {

Mailbox& mailbox() { return *reinterpret_cast<Mailbox*>(std::bit_cast<u64>(&boot_info()) + page_size); }

void say(const char* text, unsigned length) {
    Mailbox& box = mailbox();
    for (unsigned i = 0; i < length; ++i) {
        while (box.written - __atomic_load_n(&box.read, __ATOMIC_ACQUIRE) == sizeof box.text) sched_op(SCHEDOP_yield);
        box.text[box.written % sizeof box.text] = text[i];
        __atomic_store_n(&box.written, box.written + 1, __ATOMIC_RELEASE);
    }
}

constinit fuzz::Player players[2] = {{0, 1}, {1, 1}};
constinit u32 second_is_done = 0;
constinit Page* second_stack = nullptr;

void make_player(fuzz::Player& player, u64 seed) {
    player.random = Random(seed);
    Page* pages = alloc_pages(fuzz::Player::argument_pages + 1);
    player.arguments = reinterpret_cast<u8*>(pages);
    require_eq(update_va_mapping(std::bit_cast<u64>(pages + fuzz::Player::argument_pages), 0), 0,
               "the end of the arguments");
}

extern "C" [[noreturn]] void second_player() {
    fuzz::play(players[1], mailbox().calls);
    __atomic_store_n(&second_is_done, 1, __ATOMIC_RELEASE);
    for (;;) sched_op(SCHEDOP_yield);
}

void start_second() {
    static vcpu_guest_context_t context;
    second_stack = alloc_pages(4);
    fill_context(context, second_player, second_stack);
    for (unsigned i = 0; i < 32; ++i)
        context.trap_ctxt[i] = {.vector = static_cast<u8>(i),
                                .flags = 0,
                                .cs = FLAT_KERNEL_CS & 0xffff,
                                .address = std::bit_cast<u64>(&trap_stubs[i][0])};
    require_eq(vcpu_op(VCPUOP_initialise, 1, &context), 0, "a second vCPU");
    require_eq(vcpu_op(VCPUOP_up, 1), 0, "runs");
}

/// Flags and selectors of odd returns, and breakpoints on pages that are only data.
bool forgive(Frame& frame) {
    constexpr u64 flag_ac = 1ull << 18;
    frame.rflags &= ~(flag_tf | flag_ac);
    frame.ss = FLAT_KERNEL_SS;
    return true;
}

/// Only the first vCPU guards its accesses.
bool is_unguarded(Frame& frame) {
    const auto* at = reinterpret_cast<const Page*>(frame.rsp);
    if (at < second_stack || at > second_stack + 4) return false;
    Line() << "FAIL: the second vCPU traps, vector " << frame.vector << " error " << Hex{frame.error} << " rip "
           << Hex{frame.rip} << " cr2 " << Hex{shared_page().vcpu_info[1].arch.cr2};
    power_off();
}

/// On whichever vCPU it came.
void acknowledge(Frame&) {
    for (unsigned i = 0; i < 2; ++i) {
        shared_page().vcpu_info[i].evtchn_pending_sel = 0;
        shared_page().vcpu_info[i].evtchn_upcall_pending = 0;
    }
}

void fuzz_here(Mailbox& box) {
    for (u64 vector = 0; vector < 32; ++vector) set_trap_hook(vector, is_unguarded);
    set_trap_hook(vector_db, forgive);
    for (const u64 vector : {u64{vector_nmi}, u64{vector_ac}, u64{entry_failsafe}, u64{entry_nmi}})
        set_trap_hook(vector, forgive);
    set_event_hook(acknowledge);
    shared_page().arch.max_pfn = boot_info().nr_pages;
    fuzz::make_world(box);
    for (unsigned i = 0; i < box.vcpus; ++i) make_player(players[i], box.seed * 2 + i);
    box.state = Mailbox::running;
    if (box.vcpus == 2) start_second();
    fuzz::play(players[0], box.calls);
    while (box.vcpus == 2 && __atomic_load_n(&second_is_done, __ATOMIC_ACQUIRE) == 0) sched_op(SCHEDOP_yield);
    fuzz::report();
}

} // namespace

GUEST("fuzz") {
    Mailbox& box = mailbox();
    send_lines_to(say);
    if (box.role == 1) fuzz::live_next_door(box);
    else fuzz_here(box);
    box.state = Mailbox::finished;
    power_off();
}
