// SPDX-License-Identifier: GPL-2.0-only
#include "arch/tlb.hpp"

#include "arch/cpu.hpp"
#include "arch/cr.hpp"
#include "arch/lapic.hpp"
#include "arch/smp.hpp"
#include "arch/speculation.hpp"
#include "arch/vectors.hpp"
#include "lib/spinlock.hpp"

// The clock. It advances only when a stamp was taken since it last did, so it lasts long; at its end it stays
// where it is and avoids no flush any more, until maintain() has told every CPU to forget its time.
//
//   stamp:  a frame's entries were removed before the clock showed `stamp`
//   flushed_at[cpu]: the clock when the CPU last flushed, read before it flushed; 0: never
//   The CPU may hold stale entries as long as flushed_at <= stamp.

namespace streak::tlb {

namespace {

constexpr u32 clock_end = 0xffffffff;

constinit std::atomic<u32> clock{1};
constinit std::atomic<bool> stamped{false};

struct alignas(64) FlushTime {
    std::atomic<u32> at{0};
};
constinit std::array<FlushTime, max_cpus> flushed{};

// One request at a time: its sender holds request_lock and waits until `pending` is empty.
constinit SpinLock request_lock;
constinit CpuMask pending;
constinit Flush request_kind = Flush::all;
constinit Vaddr request_address{};
constinit bool request_resets_clock = false;

/// The time a flush that starts now may claim.
u32 flush_time() {
    const u32 now = clock.load();
    if (now == clock_end) return 0;
    if (!stamped.load(std::memory_order_relaxed)) return now;
    stamped.store(false);
    u32 expected = now;
    clock.compare_exchange_strong(expected, now + 1);
    return expected == now ? now + 1 : expected;
}

void note_flush(u32 time) { flushed[arch::cpu_id().raw()].at.store(time); }

void flush_global() {
    const u64 cr4 = arch::read_cr4();
    arch::write_cr4(cr4 ^ arch::cr4::pge); // any change of PGE drops everything (SDM 3A 4.10.4.1)
    arch::write_cr4(cr4);
}

void request(const CpuMask& targets, Flush kind, Vaddr address, bool reset) {
    LockGuard guard(request_lock);
    request_kind = kind;
    request_address = address;
    request_resets_clock = reset;
    pending = targets;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    targets.for_each([](CpuId cpu) { lapic::send_ipi(arch::percpu(cpu).apic_id, arch::flush_vector); });
    while (!pending.empty()) arch::cpu_relax();
}

} // namespace

void forget_guest_entries() {
    if (likely(!arch::measures.pcid)) return;
    arch::PerCpu& cpu = arch::this_cpu();
    for (arch::GuestRoot& root : cpu.guest_roots) root.cr3 &= ~cpu.keep_tlb;
}

[[gnu::flatten]] void flush_local(Flush kind, Vaddr address) {
    forget_guest_entries();
    if (unlikely(arch::this_cpu().soft_tlb)) flush_soft(kind, address);
    if (kind == Flush::page) {
        arch::invlpg(address.raw());
        return;
    }
    const u32 time = flush_time();
    if (kind == Flush::guest) arch::write_cr3(arch::read_cr3());
    else flush_global();
    note_flush(time);
}

void load_cr3(u64 cr3) {
    const u32 time = flush_time();
    arch::this_cpu().cr3 = cr3;
    forget_guest_entries();
    if (unlikely(arch::this_cpu().soft_tlb)) flush_soft(Flush::guest, {});
    arch::write_cr3(cr3);
    note_flush(time);
}

[[gnu::noinline]] static void flush_many(const CpuMask& cpus, Flush kind, Vaddr address) {
    const CpuId me = arch::cpu_id();
    CpuMask others = cpus & smp::online();
    others.clear(me);
    if (!others.empty()) request(others, kind, address, false);
    if (cpus.test(me)) flush_local(kind, address);
}

void flush(const CpuMask& cpus, Flush kind, Vaddr address) {
    if (arch::online_cpu_count() > 1) return flush_many(cpus, kind, address);
    if (cpus.test(CpuId(0))) flush_local(kind, address);
}

u32 stamp_now() {
    // The flag first: whoever flushes after the stamp was read sees it and advances the clock.
    if (!stamped.load(std::memory_order_relaxed)) stamped.store(true);
    return clock.load();
}

void filter(CpuMask& cpus, u32 stamp) {
    cpus.for_each([&](CpuId cpu) {
        if (flushed[cpu.raw()].at.load() > stamp) cpus.clear(cpu); // otherwise it may hold an entry made before
    });
}

void serve_mailbox() {
    const CpuId me = arch::cpu_id();
    if (likely(!pending.test(me))) return;
    std::atomic_thread_fence(std::memory_order_acquire);
    if (request_resets_clock) note_flush(0);
    else flush_local(request_kind, request_address);
    pending.clear(me);
}

void maintain() {
    if (likely(clock.load(std::memory_order_relaxed) != clock_end)) return;
    // While the clock stands at its end no flush claims a time, so nobody can enter an old one after this.
    CpuMask others = smp::online();
    others.clear(arch::cpu_id());
    request(others, Flush::all, Vaddr(0), true);
    note_flush(0);
    u32 end = clock_end;
    clock.compare_exchange_strong(end, 1);
}

} // namespace streak::tlb

namespace streak {

void spin_wait() {
    arch::cpu_relax();
    tlb::serve_mailbox();
}

} // namespace streak
