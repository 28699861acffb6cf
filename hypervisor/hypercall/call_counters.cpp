// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "arch/clock.hpp"
#include "hypercall/dispatch.hpp"
#include "hypercall/watch.hpp"
#include "mm/heap.hpp"

// XEN_SYSCTL_perfc_op: how often each hypercall was made, and how long it took. Counting begins with a reset and ends when
// nobody has asked for a while, so that it costs nothing once its reader has gone.

namespace streak::hypercall {

namespace {

constexpr u64 patience_ms = 10'000;
constexpr u32 lengths = 30, first_length_bits = 6; ///< shorter than 2^6 ticks, than 2^7 …; the last has all others, too
constexpr u32 rows = 2 + lengths; ///< calls, ticks, calls by length; each with a value for each hypercall
constexpr xen_sysctl_perfc_desc descriptions[] = {
    {"hypercalls", table_size},
    {"hypercalls: TSC ticks / 1024", table_size},
    {"hypercalls by length, from 2^6 TSC ticks", lengths* table_size},
};

constinit SpinLock lock;                ///< of resets
constinit u64* counts = nullptr;        ///< by CPU, row, hypercall; there from the first reset on
constinit std::atomic<u64> deadline{0}; ///< TSC

void count(const WatchedCall& call, const Return& /*result*/) {
    const u64 now = clock::read_tsc(), ticks = now - call.begun;
    const u32 bits = std::max<u32>(static_cast<u32>(std::bit_width(ticks)), first_length_bits);
    const u32 length_row = 2 + std::min(bits - first_length_bits, lengths - 1);
    u64* const of_call = &counts[arch::cpu_id().raw() * rows * table_size + call.number];
    // Atomic because of resets.
    for (const u32 row : {0u, length_row}) __atomic_fetch_add(&of_call[row * table_size], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&of_call[table_size], ticks, __ATOMIC_RELAXED);
    if (now > deadline.load(std::memory_order_relaxed)) set_watcher(WatchedBy::counters, nullptr);
}

constexpr Watcher watcher{nullptr, count};

void be_patient() { deadline.store(clock::read_tsc() + patience_ms * clock::tsc_khz()); }

[[nodiscard]] Result<> reset() {
    LockGuard guard(lock);
    const u64 bytes = arch::online_cpu_count() * rows * table_size * sizeof(u64);
    if (!counts) counts = static_cast<u64*>(mm::allocate(bytes));
    if (!counts) return fail(Errno::ENOMEM);
    std::memset(counts, 0, bytes);
    be_patient();
    set_watcher(WatchedBy::counters, &watcher);
    return {};
}

/// The sum of all CPUs, modulo 2^32 as the interface has it.
[[nodiscard]] u32 value(u32 row, u32 call) {
    u64 sum = 0;
    for (u32 cpu = 0; counts && cpu < arch::online_cpu_count(); ++cpu)
        sum += counts[(cpu * rows + row) * table_size + call];
    return static_cast<u32>(row == 1 ? sum >> 10 : sum);
}

[[nodiscard]] Result<> query(xen_sysctl_perfc_op& op) {
    const GuestHandle<xen_sysctl_perfc_desc_t> names(reinterpret_cast<u64>(op.desc.p));
    const GuestHandle<xen_sysctl_perfc_val_t> values(reinterpret_cast<u64>(op.val.p));
    if (!names.is_null()) TRY(names.write_array(descriptions));
    for (u32 row = 0; !values.is_null() && row < rows; ++row) {
        std::array<u32, table_size> of_calls;
        for (u32 call = 0; call < table_size; ++call) of_calls[call] = value(row, call);
        TRY(values.write_array(std::span<const u32>(of_calls), row * table_size));
    }
    op.nr_counters = std::size(descriptions);
    op.nr_vals = rows * table_size;
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
