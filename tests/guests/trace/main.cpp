// SPDX-License-Identifier: GPL-2.0-only
//
// The story: the hypervisor writes what it does into buffers that a tool maps, and the tool writes there, too. Records have
// to say what happened, in order, and end when told to; what is lost has to be told; and whatever the tool leaves in the page
// must not lead the hypervisor out of it. Then the counters: each call is counted once, until nobody asks for a while.
// qemu: -icount shift=0,sleep=off -smp 2

#include "tests/guests/lib/control.hpp"
#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"

using namespace guest;

namespace {

constexpr u32 cpus = 2, data_bytes = page_size - sizeof(t_buf);
constexpr u32 call_end = TRC_PV_ENTRY + 15, subcall_end = TRC_PV_SUBCALL + 15;
constexpr u64 unmapped = 0xffff900000000000;

struct Ring {
    t_buf* buffer = nullptr;
    bool bad_wrap = false;

    u32& cons() const { return buffer->cons; }
    u32 prod() const { return __atomic_load_n(&buffer->prod, __ATOMIC_ACQUIRE); }
    u32 unread() const { return (prod() + 2 * data_bytes - cons()) % (2 * data_bytes); }
    u32 word(u32 at) const { return reinterpret_cast<u32*>(buffer + 1)[at % data_bytes / 4]; }
    void drop() const { cons() = prod(); }
};
constinit Ring rings[cpus];
constinit u32 timer_port = 0;

struct Record {
    u32 event = 0, count = 0, word[7] = {};
    u64 tsc = 0;
    u64 wide(u32 i) const { return word[i] | static_cast<u64>(word[i + 1]) << 32; }
};

struct Records {
    Record list[400];
    u32 count = 0;

    /// The number of the first such record from `from` on whose first word is `word`; or of all of them: `count`.
    u32 find(u32 event, u32 word, u32 from = 0) const {
        while (from < count && (list[from].event != event || list[from].word[0] != word)) ++from;
        return from;
    }
    bool has(u32 event, u32 word) const { return find(event, word) < count; }
};
constinit Records records;

/// Takes all records out of a ring.
void take(Ring& ring) {
    while (ring.unread() != 0 && records.count < std::size(records.list)) {
        u32 at = ring.cons();
        const u32 head = ring.word(at), begin = at % data_bytes;
        Record& r = records.list[records.count];
        r = {.event = TRC_HD_TO_EVENT(head), .count = TRC_HD_EXTRA(head)};
        at += 4;
        if (TRC_HD_INCLUDES_CYCLE_COUNT(head)) {
            r.tsc = ring.word(at) | static_cast<u64>(ring.word(at + 4)) << 32;
            at += 8;
        }
        for (u32 i = 0; i < r.count; ++i, at += 4) r.word[i] = ring.word(at);
        if (begin + at - ring.cons() > data_bytes) ring.bad_wrap = true;
        ring.cons() = at % (2 * data_bytes);
        if (r.event != TRC_TRACE_WRAP_BUFFER) ++records.count;
    }
}

const Records& take_all() {
    records.count = 0;
    for (Ring& ring : rings) take(ring);
    return records;
}

long buffers(u32 command, xen_sysctl_t& op) {
    op.u.tbuf_op.cmd = command;
    return sysctl(XEN_SYSCTL_tbuf_op, op);
}
long buffers(u32 command, u32 value = 0) {
    xen_sysctl_t op = {};
    op.u.tbuf_op.evt_mask = op.u.tbuf_op.size = value;
    return buffers(command, op);
}
long set_cpus(u64 mask) {
    xen_sysctl_t op = {};
    set_xen_guest_handle(op.u.tbuf_op.cpu_mask.bitmap, reinterpret_cast<u8*>(&mask));
    op.u.tbuf_op.cpu_mask.nr_bits = 64;
    return buffers(XEN_SYSCTL_TBUFOP_set_cpu_mask, op);
}
xen_sysctl_tbuf_op info() {
    xen_sysctl_t op = {};
    require_eq(buffers(XEN_SYSCTL_TBUFOP_get_info, op), 0, "TBUFOP_get_info");
    return op.u.tbuf_op;
}
void start(u32 events) {
    for (Ring& ring : rings) ring.drop();
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_evt_mask, events), 0, "TBUFOP_set_evt_mask");
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_enable), 0, "TBUFOP_enable");
}
void stop() { expect_eq(buffers(XEN_SYSCTL_TBUFOP_disable), 0, "TBUFOP_disable"); }

u64 free_pages() {
    xen_sysctl_t op = {};
    require_eq(sysctl(XEN_SYSCTL_physinfo, op), 0, "SYSCTL_physinfo");
    return op.u.physinfo.free_pages;
}

/// Puts a frame of DOMID_XEN in the place of one of the guest's pages.
long show(const Page* page, u64 frame, u64 flags, u32 owner = DOMID_XEN) {
    mmu_update_t update = {.ptr = machine_address(entry_of(to_word(page))), .val = pte(frame, flags)};
    return mmu_update_op(&update, 1, nullptr, owner);
}

void check_refused_sizes() {
    expect_eq(info().size, 0, "no buffers");
    expect_eq(info().buffer_mfn, 0, "nowhere");
    expect_eq(info().evt_mask, TRC_ALL, "all events");
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_enable), -XEN_EINVAL, "no tracing without buffers");
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_size, 0), -XEN_EINVAL, "buffers of nothing");
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_size, 0x10000), -XEN_EINVAL, "a size that t_info can't tell");
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_size, ~0u), -XEN_EINVAL, "nor this one");
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_size, 32768), -XEN_EINVAL, "lists that offsets don't reach");
    const u64 before = free_pages();
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_size, 20000), -XEN_ENOMEM, "more than there is");
    expect_eq(free_pages(), before, "and what there was comes back");
    expect_eq(buffers(6), -XEN_EINVAL, "a command that isn't");
}

void map_buffers() {
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_size, 1), 0, "TBUFOP_set_size");
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_size, 1), 0, "the same again");
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_size, 2), -XEN_EINVAL, "another one");
    const auto there = info();
    require_eq(there.size, page_size, "a page tells where they are");
    const Page* page = alloc_page();
    expect_error(show(page, there.buffer_mfn, pte_rw), "which nobody may write");
    expect_error(show(page, there.buffer_mfn, pte_ro, DOMID_SELF), "and which isn't the guest's own");
    require_eq(show(page, there.buffer_mfn, pte_ro), 0, "but may be read");
    const auto* table = reinterpret_cast<const t_info*>(page);
    require_eq(table->tbuf_size, 1, "pages of a buffer");
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        const Page* buffer = alloc_page();
        const u32 frame = reinterpret_cast<const u32*>(table)[table->mfn_offset[cpu]];
        require_eq(show(buffer, frame, pte_rw), 0, "a buffer may be written");
        rings[cpu].buffer = reinterpret_cast<t_buf*>(const_cast<Page*>(buffer));
        expect(rings[cpu].prod() == 0 && rings[cpu].cons() == 0, "and is empty");
    }
}

void check_calls() {
    xen_extraversion_t text;
    multicall_entry_t calls[2] = {};
    calls[0].op = __HYPERVISOR_xen_version;
    calls[1].op = 63;
    start(TRC_ALL);
    xen_version(XENVER_extraversion, text);
    multicall(calls, 2);
    xen_version(77);
    stop();
    const Records& r = take_all();
    u32 at = r.find(TRC_PV_HYPERCALL_V2, __HYPERVISOR_xen_version | TRC_PV_HYPERCALL_V2_ARG_32(0) |
                                             static_cast<u32>(TRC_PV_HYPERCALL_V2_ARG_64(1)));
    expect(at + 1 < r.count, "a call is recorded, with its two arguments");
    expect_eq(r.list[at].word[1], XENVER_extraversion, "the command");
    expect_eq(r.list[at].wide(2), to_word(&text), "the address");
    expect_eq(r.list[at].count, 4, "and nothing more");
    expect_eq(r.list[at + 1].event, call_end, "it ends");
    expect(r.list[at + 1].word[0] == __HYPERVISOR_xen_version && r.list[at + 1].wide(1) == 0, "successfully");
    expect(r.list[at + 1].tsc > r.list[at].tsc, "later");
    at = r.find(TRC_PV_HYPERCALL_SUBCALL,
                __HYPERVISOR_xen_version | TRC_PV_HYPERCALL_V2_ARG_32(0) | TRC_PV_HYPERCALL_V2_ARG_32(1));
    expect(at + 3 < r.count, "a list's call is recorded as such");
    expect(r.list[at + 1].event == subcall_end && r.list[at + 1].wide(1) == (4 << 16 | 17), "and its end");
    at = r.find(TRC_PV_HYPERCALL_SUBCALL, 63);
    expect(at + 1 < r.count && r.list[at + 1].wide(1) == static_cast<u64>(-XEN_ENOSYS), "so is one that doesn't exist");
    expect(r.has(call_end, __HYPERVISOR_multicall), "the list ends, too");
    at = r.find(TRC_PV_HYPERCALL_V2,
                __HYPERVISOR_xen_version | TRC_PV_HYPERCALL_V2_ARG_32(0) | TRC_PV_HYPERCALL_V2_ARG_32(1));
    expect(at + 1 < r.count && r.list[at + 1].wide(1) == static_cast<u64>(-XEN_ENOSYS), "and one that fails");
    expect(r.has(TRC_PV_HYPERCALL_V2, __HYPERVISOR_sysctl | static_cast<u32>(TRC_PV_HYPERCALL_V2_ARG_64(0))),
           "the last that is seen is that to stop");
}

void check_traps() {
    start(TRC_PV);
    const Trap undefined = catch_trap([] { asm volatile("ud2"); });
    const Trap fault = catch_trap([] { *reinterpret_cast<volatile u64*>(unmapped); });
    const Trap protection = catch_trap([] { asm volatile("mov %0, %%ss" ::"r"(0x1230)); });
    stop();
    const Records& r = take_all();
    bool seen = false;
    for (u32 i = 0; i < r.count; ++i)
        if (r.list[i].event == (TRC_PV_TRAP | TRC_64_FLAG) && r.list[i].wide(0) == undefined.frame.rip)
            seen = r.list[i].word[2] == vector_ud;
    expect(seen, "an exception, and where");
    seen = false;
    for (u32 i = 0; i < r.count; ++i)
        if (r.list[i].event == (TRC_PV_PAGE_FAULT | TRC_64_FLAG) && r.list[i].wide(0) == fault.frame.rip)
            seen = r.list[i].wide(2) == unmapped && r.list[i].count == 5;
    expect(seen, "a page fault, where and of which address");
    seen = false;
    for (u32 i = 0; i < r.count; ++i)
        if (r.list[i].event == (TRC_PV_TRAP | TRC_64_FLAG) && r.list[i].wide(0) == protection.frame.rip)
            seen = r.list[i].word[2] == (vector_gp | 1u << 15 | 0x1230u << 16);
    expect(seen, "one with an error code");
}

void check_scheduling() {
    constexpr u32 idle = DOMID_IDLE;
    start(TRC_SCHED);
    expect_eq(set_timer(system_time() + 5'000'000), 0, "a timer");
    mask_events();
    expect_eq(sched_op(SCHEDOP_block), 0, "SCHEDOP_block");
    stop();
    const Records& r = take_all();
    expect_eq(r.find(TRC_PV_HYPERCALL_V2, 0), r.count, "no calls when they are not asked for");
    const u32 leaves = r.find(TRC_SCHED_SWITCH, 0), blocks = r.find(TRC_SCHED_BLOCK, 0, leaves),
              wakes = r.find(TRC_SCHED_WAKE, 0, blocks), enters = r.find(TRC_SCHED_SWITCH, idle, wakes);
    require_eq(leaves < blocks && blocks < wakes && wakes < enters && enters < r.count, true,
               "it leaves, wakes, is back");
    expect_eq(r.list[leaves].word[2], idle, "the CPU is idle meanwhile");
    expect(r.has(TRC_SCHED_RUNSTATE_CHANGE | RUNSTATE_running << 8 | RUNSTATE_blocked << 4, 0), "it runs, then sleeps");
    expect(r.has(TRC_SCHED_RUNSTATE_CHANGE | RUNSTATE_blocked << 8 | RUNSTATE_runnable << 4, 0), "then waits");
    expect(r.has(TRC_SCHED_RUNSTATE_CHANGE | RUNSTATE_runnable << 8 | RUNSTATE_running << 4, 0), "then runs");
}

void check_masks() {
    expect_eq(set_cpus(0), 0, "TBUFOP_set_cpu_mask");
    start(TRC_ALL);
    stop();
    expect_eq(take_all().count, 0, "no CPU is asked for");
    expect_eq(set_cpus(~0ull), 0, "all are");
    start(TRC_PV_SUBCALL);
    stop();
    expect_eq(take_all().count, 0, "a subclass of calls alone");
    expect_eq(info().evt_mask, TRC_PV_SUBCALL, "which is told");
    xen_sysctl_t op = {};
    set_xen_guest_handle(op.u.tbuf_op.cpu_mask.bitmap, reinterpret_cast<u8*>(unmapped));
    op.u.tbuf_op.cpu_mask.nr_bits = 64;
    expect_eq(buffers(XEN_SYSCTL_TBUFOP_set_cpu_mask, op), -XEN_EFAULT, "a mask that isn't there");
    op = {};
    op.cmd = XEN_SYSCTL_tbuf_op;
    expect_eq(hypercall(__HYPERVISOR_sysctl, &op), -XEN_EACCES, "another version of the interface");
}

void call(u32 times) {
    while (times-- != 0) xen_version(XENVER_version);
}

/// The ring of the CPU that this runs on.
Ring& busy_ring() {
    for (Ring& ring : rings)
        if (ring.unread() != 0) return ring;
    error("no ring has a record");
}

void check_full() {
    const long port = bind_virq(VIRQ_TBUF);
    require_eq(port > 0, true, "VIRQ_TBUF");
    mask_port(static_cast<u32>(port));
    start(TRC_PV);
    call(10);
    Ring& ring = busy_ring();
    expect(!port_pending(static_cast<u32>(port)), "nothing to tell yet");
    call(60);
    expect(port_pending(static_cast<u32>(port)), "a half full ring is told");
    clear_port(static_cast<u32>(port));
    call(300);
    const u32 full = ring.prod();
    expect(ring.unread() <= data_bytes && ring.unread() > data_bytes - 120, "a full ring is full");
    call(10);
    expect_eq(ring.prod(), full, "and stays so");
    expect(!port_pending(static_cast<u32>(port)), "which is not told again");
    ring.drop();
    call(1);
    const Records& r = take_all();
    expect_eq(r.list[0].event, TRC_LOST_RECORDS, "what was lost is told first");
    expect(r.list[0].word[0] >= 500 && r.list[0].word[0] < 700, "how many");
    expect(r.list[0].wide(2) < r.list[0].tsc && r.list[0].wide(2) != 0, "since when");
    for (unsigned i = 0; i < 200; ++i) {
        call(3);
        take_all();
    }
    expect(!ring.bad_wrap, "no record goes round the end");
    expect(records.has(call_end, __HYPERVISOR_xen_version), "and they are whole");
    stop();
    expect_eq(close_port(static_cast<u32>(port)), 0, "enough of it");
}

void check_hostile_consumer() {
    start(TRC_PV);
    call(1);
    Ring& ring = busy_ring();
    for (const u32 bad : {~0u, 2 * data_bytes, 2 * data_bytes + 4, 0x80000000u, 1u << 20}) {
        const u32 before = ring.prod();
        ring.cons() = bad;
        call(10);
        expect_eq(ring.prod(), before, "a reader beyond the ring gets nothing");
    }
    const u32 before = ring.prod();
    ring.cons() = (before + 100) % (2 * data_bytes);
    call(10);
    expect_eq(ring.prod(), before, "nor one that is ahead of the writer");
    ring.cons() = (before + 2 * data_bytes - 3) % (2 * data_bytes);
    call(1);
    expect_eq((ring.prod() - before) % 4, 0, "one between two words is let be");
    const u32 expected = ring.prod();
    ring.buffer->prod = 0x12345678;
    ring.cons() = expected;
    call(1);
    expect(ring.prod() != 0x12345678 && ring.unread() < data_bytes, "the writer knows for itself where it is");
    for (u32 i = 0; i < 2000; ++i) {
        ring.cons() = i * 0x9e3779b9u;
        ring.buffer->prod = ~i;
        call(1);
    }
    // Where the writer is only it knows by now; one of these places is not ahead of it.
    for (const u32 place : {0u, data_bytes}) {
        ring.cons() = place;
        ring.buffer->prod = ~0u;
        call(1);
        if (ring.prod() != ~0u) break;
    }
    expect(ring.prod() < 2 * data_bytes, "it goes on when the reader is sane again");
    ring.drop();
    call(1);
    expect(take_all().has(call_end, __HYPERVISOR_xen_version), "with whole records");
    stop();
    ring.drop();
    call(10);
    expect_eq(ring.unread(), 0, "nothing is written after the end");
}

// ---- Counters ----

constexpr u32 counters = 3, rows = 32, call_numbers = 64;
constinit u32 values[rows][call_numbers];
constinit xen_sysctl_perfc_desc_t descriptions[counters];

long count(u32 command, void* descriptions_to = nullptr, void* values_to = nullptr) {
    xen_sysctl_t op = {};
    op.u.perfc_op.cmd = command;
    set_xen_guest_handle(op.u.perfc_op.desc, static_cast<xen_sysctl_perfc_desc_t*>(descriptions_to));
    set_xen_guest_handle(op.u.perfc_op.val, static_cast<xen_sysctl_perfc_val_t*>(values_to));
    const long result = sysctl(XEN_SYSCTL_perfc_op, op);
    if (result != 0 || command != XEN_SYSCTL_PERFCOP_query) return result;
    require_eq(op.u.perfc_op.nr_counters, counters, "counters");
    require_eq(op.u.perfc_op.nr_vals, rows * call_numbers, "a value of each for each hypercall");
    return 0;
}
void read() { expect_eq(count(XEN_SYSCTL_PERFCOP_query, descriptions, values), 0, "PERFCOP_query"); }

void check_counters() {
    expect_eq(count(0), -XEN_EINVAL, "a command that isn't");
    expect_eq(count(3), -XEN_EINVAL, "nor this one");
    expect_eq(count(XEN_SYSCTL_PERFCOP_query), 0, "how many there are");
    call(1);
    read();
    expect_eq(values[0][__HYPERVISOR_xen_version], 0, "nothing is counted yet");
    expect_eq(count(XEN_SYSCTL_PERFCOP_reset), 0, "PERFCOP_reset");
    call(10);
    multicall_entry_t calls[3] = {};
    for (auto& c : calls) c.op = __HYPERVISOR_xen_version;
    multicall(calls, 3);
    read();
    constexpr u32 version = __HYPERVISOR_xen_version;
    expect_eq(values[0][version], 13, "each call is counted, those of a list, too");
    expect_eq(values[0][__HYPERVISOR_multicall], 1, "and the list");
    expect_eq(values[0][__HYPERVISOR_sysctl], 0, "the call to begin isn't, that to read not yet");
    u32 sum = 0, shortest = 0;
    for (u32 i = 2; i < rows; ++i) {
        sum += values[i][version];
        if (values[i][version] != 0 && shortest == 0) shortest = i;
    }
    expect_eq(sum, 13, "each has its length");
    expect(shortest > 2 && shortest < 12, "which is thousands of ticks at most");
    expect(values[1][version] >= 1 && values[1][version] < 13, "and they add up to more than 1024 ticks");
    expect(std::string_view(descriptions[0].name) == "hypercalls", "the name of the first");
    expect(std::string_view(descriptions[2].name) == "hypercalls by length, from 2^6 TSC ticks", "that of the last");
    expect(descriptions[1].nr_vals == call_numbers && descriptions[2].nr_vals == 30 * call_numbers, "values of each");
    expect_eq(count(XEN_SYSCTL_PERFCOP_query, reinterpret_cast<void*>(unmapped)), -XEN_EFAULT, "names to nowhere");
    expect_eq(count(XEN_SYSCTL_PERFCOP_query, nullptr, reinterpret_cast<void*>(unmapped)), -XEN_EFAULT, "values");
    expect_eq(count(XEN_SYSCTL_PERFCOP_reset), 0, "again from nothing");
    read();
    expect_eq(values[0][version], 0, "nothing is left");
    read();
    expect(values[0][__HYPERVISOR_sysctl] == 2 && values[1][__HYPERVISOR_sysctl] >= 10, "reading takes its time");
}

void sleep(u64 seconds) {
    const u64 until = system_time() + seconds * 1'000'000'000;
    while (system_time() < until) {
        set_timer(until);
        sched_op(SCHEDOP_block);
    }
}

void check_patience() {
    sleep(6);
    read();
    sleep(6);
    call(1);
    read();
    expect_eq(values[0][__HYPERVISOR_xen_version], 1, "who asks now and then is served for longer than 10 s");
    sleep(11);
    call(2); // the first of these calls is too late already
    const u32 before = values[0][__HYPERVISOR_xen_version];
    read();
    expect(values[0][__HYPERVISOR_xen_version] - before <= 1, "nobody asks for 10 s: counting has ended");
    call(5);
    const u32 last = values[0][__HYPERVISOR_xen_version];
    read();
    expect_eq(values[0][__HYPERVISOR_xen_version], last, "and does not begin by itself");
}

} // namespace

GUEST("trace") {
    if (!is_streak()) skip("counters and ends of calls are Streak's");
    const long port = bind_virq(VIRQ_TIMER);
    require_eq(port > 0, true, "VIRQ_TIMER");
    timer_port = static_cast<u32>(port);
    set_event_hook([](Frame&) {
        __atomic_store_n(&this_vcpu().evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&this_vcpu().evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        clear_port(timer_port);
    });
    check_refused_sizes();
    map_buffers();
    check_calls();
    check_traps();
    check_scheduling();
    check_masks();
    check_full();
    check_hostile_consumer();
    check_counters();
    check_patience();
}
