// SPDX-License-Identifier: GPL-2.0-only
#include "arch/clock.hpp"
#include "hypercall/dispatch.hpp"
#include "hypercall/sysctl.hpp"
#include "hypercall/watch.hpp"
#include "mm/heap.hpp"

// XEN_SYSCTL_perfc_op: how often each hypercall was made, and how long it took. Counting begins with a reset and ends when
// nobody has asked for a while, so that it costs nothing once its reader has gone.

namespace streak::hypercall {

namespace {

constexpr u64 patience_ms = 10'000;
constexpr u32 lengths = 30, first_length_bits = 6; ///< shorter than 2^6 ticks, than 2^7 …; the last has all others, too
constexpr unsigned ticks_unit_bits = 10;
constexpr u32 counters = 2 + lengths; ///< calls, ticks, calls by length; each with a value for each hypercall

struct Count {
    u64 ticks;
    std::array<u32, lengths> calls;
};
using Counts = std::array<Count, table_size>;

constinit SpinLock lock;                          ///< of resets
constinit std::array<Counts*, max_cpus> counts{}; ///< there from the first reset on
constinit std::atomic<u64> deadline{0};           ///< TSC

void count(const WatchedCall& call, const Return& /*result*/) {
    const u64 now = clock::read_tsc(), ticks = now - call.begun;
    const u32 bits =
        std::clamp(static_cast<u32>(std::bit_width(ticks)), first_length_bits, first_length_bits + lengths - 1);
    Count& c = (*counts[arch::cpu_id().raw()])[call.number];
    __atomic_fetch_add(&c.ticks, ticks, __ATOMIC_RELAXED);
    __atomic_fetch_add(&c.calls[bits - first_length_bits], 1, __ATOMIC_RELAXED);
    if (now > deadline.load(std::memory_order_relaxed)) set_watcher(WatchedBy::counters, nullptr);
}

constexpr Watcher watcher{nullptr, count};

void be_patient() { deadline.store(clock::read_tsc() + patience_ms * clock::tsc_khz()); }

[[nodiscard]] Result<> reset() {
    LockGuard guard(lock);
    for (u32 cpu = 0; cpu < arch::online_cpu_count(); ++cpu) {
        if (!counts[cpu]) counts[cpu] = static_cast<Counts*>(mm::allocate(sizeof(Counts)));
        if (!counts[cpu]) return fail(Errno::ENOMEM);
        for (Count& c : *counts[cpu]) {
            __atomic_store_n(&c.ticks, 0, __ATOMIC_RELAXED);
            for (u32& n : c.calls) __atomic_store_n(&n, 0, __ATOMIC_RELAXED);
        }
    }
    be_patient();
    set_watcher(WatchedBy::counters, &watcher);
    return {};
}

/// The sum of all CPUs, modulo 2^32 as the interface has it.
[[nodiscard]] u32 value(u32 counter, u32 call) {
    u64 sum = 0;
    for (u32 cpu = 0; cpu < arch::online_cpu_count() && counts[cpu]; ++cpu) {
        const Count& c = (*counts[cpu])[call];
        if (counter == 1) sum += c.ticks;
        for (u32 i = 0; i < lengths; ++i) sum += counter == 0 || counter == i + 2 ? c.calls[i] : 0;
    }
    return static_cast<u32>(counter == 1 ? sum >> ticks_unit_bits : sum);
}

[[nodiscard]] xen_sysctl_perfc_desc describe(u32 counter) {
    if (counter == 0) return {"hypercalls", table_size};
    if (counter == 1) return {"hypercalls: TSC ticks / 1024", table_size};
    xen_sysctl_perfc_desc desc{"hypercalls shorter than 2^00 ticks", table_size};
    char* digits = desc.name + sizeof "hypercalls shorter than 2^" - 1;
    const u32 bits = counter - 2 + first_length_bits;
    digits[0] = static_cast<char>(digits[0] + bits / 10);
    digits[1] = static_cast<char>(digits[1] + bits % 10);
    return desc;
}

[[nodiscard]] Result<> query(xen_sysctl_perfc_op& op) {
    const GuestHandle<xen_sysctl_perfc_desc_t> descriptions(reinterpret_cast<u64>(op.desc.p));
    const GuestHandle<xen_sysctl_perfc_val_t> values(reinterpret_cast<u64>(op.val.p));
    for (u32 i = 0; i < counters; ++i) {
        if (!descriptions.is_null()) TRY(descriptions.write(describe(i), i));
        std::array<u32, table_size> of_calls;
        for (u32 call = 0; call < table_size; ++call) of_calls[call] = value(i, call);
        if (!values.is_null()) TRY(values.write_array(std::span<const u32>(of_calls), i * table_size));
    }
    op.nr_counters = counters;
    op.nr_vals = counters * table_size;
    be_patient();
    return {};
}

} // namespace

Result<> call_counters(xen_sysctl_perfc_op& op) {
    switch (op.cmd) {
    case XEN_SYSCTL_PERFCOP_reset: return reset();
    case XEN_SYSCTL_PERFCOP_query: return query(op);
    default: return fail(Errno::EINVAL);
    }
}

} // namespace streak::hypercall
