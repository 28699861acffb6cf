// SPDX-License-Identifier: GPL-2.0-only
#include "debug/call_counters.hpp"

#include <algorithm>
#include <cstring>

#include "hv/calls.hpp"

namespace streak::debug {
namespace {

constexpr std::uint32_t values = sizeof(CallCounters) / sizeof(std::uint32_t), counters = 3;
constexpr unsigned first_length_bits = 6;

Result<> order(hv::Port& port, std::uint32_t command) {
    auto op = hv::sysctl(XEN_SYSCTL_perfc_op);
    op.u.perfc_op.cmd = command;
    TRY(hv::run(port, op));
    const bool known = command != XEN_SYSCTL_PERFCOP_query ||
                       (op.u.perfc_op.nr_counters == counters && op.u.perfc_op.nr_vals == values);
    return known ? Result<>{} : fail(Errno::EOPNOTSUPP);
}

} // namespace

Result<CallCounters> read_counters(hv::Port& port) {
    TRY(order(port, XEN_SYSCTL_PERFCOP_query)); // how many there are: no more than there is room for
    const hv::Buffer<CallCounters> buffer(port);
    if (!buffer) return fail(Errno::ENOMEM);
    auto op = hv::sysctl(XEN_SYSCTL_perfc_op);
    op.u.perfc_op.cmd = XEN_SYSCTL_PERFCOP_query;
    set_xen_guest_handle(op.u.perfc_op.val, reinterpret_cast<xen_sysctl_perfc_val_t*>(buffer.data()));
    TRY(hv::run(port, op));
    return *buffer;
}

Result<CallCounters> begin_counting(hv::Port& port) {
    TRY_ASSIGN(first, read_counters(port));
    TRY_ASSIGN(second, read_counters(port));
    // Reading is a hypercall that would have been counted.
    if (first.calls[__HYPERVISOR_sysctl] != second.calls[__HYPERVISOR_sysctl]) return second;
    TRY(order(port, XEN_SYSCTL_PERFCOP_reset));
    return read_counters(port);
}

std::vector<CallUse> use_between(const CallCounters& before, const CallCounters& now, double seconds, std::uint64_t khz,
                                 std::uint32_t cpus) {
    std::vector<CallUse> all;
    const double ns_per_tick = 1e6 / static_cast<double>(khz);
    for (std::uint32_t call = 0; call < call_numbers; ++call) {
        CallUse use{.number = call, .calls = now.calls[call] - before.calls[call]};
        if (use.calls == 0) continue;
        const std::uint32_t units = now.ticks_1024[call] - before.ticks_1024[call];
        const double ns = units * 1024.0 * ns_per_tick;
        use.per_second = use.calls / seconds;
        use.share = ns / (seconds * 1e9 * cpus);
        use.mean_ns = ns / use.calls;
        const auto percentile = [&](std::uint64_t percent) {
            std::uint64_t seen = 0;
            unsigned length = 0;
            for (; length < call_lengths - 1; ++length) {
                seen += now.shorter[length][call] - before.shorter[length][call];
                if (seen * 100 >= use.calls * percent) break;
            }
            return static_cast<double>(1ull << (length + first_length_bits)) * ns_per_tick;
        };
        use.p50_ns = percentile(50);
        use.p99_ns = percentile(99);
        all.push_back(use);
    }
    std::ranges::sort(all, std::greater{}, &CallUse::share);
    return all;
}

} // namespace streak::debug
