// SPDX-License-Identifier: GPL-2.0-only
#include "domain/trace.hpp"
#include "hypercall/cpu_bitmap.hpp"
#include "hypercall/dispatch.hpp"
#include "hypercall/sysctl.hpp"
#include "hypercall/watch.hpp"

// XEN_SYSCTL_tbuf_op, and the records of calls.

namespace streak::hypercall {

namespace {

/// Number and result of a call that ends; the header has no such record (docs/abi.md).
constexpr u32 call_end = TRC_PV_ENTRY + 15, subcall_end = TRC_PV_SUBCALL + 15;

/// TRC_PV_HYPERCALL_V2, with as many of the arguments as there is room for.
void record_begin(const WatchedCall& call) {
    u32 words[TRACE_EXTRA_MAX] = {call.number};
    unsigned n = 1;
    for (unsigned i = 0; i < argument_counts[call.number]; ++i) {
        const u64 argument = call.arguments[i];
        const u32 high = static_cast<u32>(argument >> 32), wide = high != 0;
        if (n + 1 + wide > std::size(words)) break;
        words[0] |= (1u + wide) << (20 + 2 * i); // TRC_PV_HYPERCALL_V2_ARG_32, _64
        words[n++] = static_cast<u32>(argument);
        if (wide) words[n++] = high;
    }
    trace::record(call.in_multicall ? TRC_PV_HYPERCALL_SUBCALL : TRC_PV_HYPERCALL_V2, std::span(words).first(n));
}

void record_end(const WatchedCall& call, const Return& result) {
    const i64 value = value_of(result);
    trace::record(call.in_multicall ? subcall_end : call_end,
                  {call.number, static_cast<u32>(value), static_cast<u32>(value >> 32)});
}

constexpr Watcher calls{record_begin, record_end};

} // namespace

Result<> trace_buffers(xen_sysctl_tbuf_op& op) {
    switch (op.cmd) {
    case XEN_SYSCTL_TBUFOP_get_info: {
        const trace::Info info = trace::info();
        op.evt_mask = info.events;
        op.buffer_mfn = info.t_info.raw();
        op.size = info.bytes;
        return {};
    }
    case XEN_SYSCTL_TBUFOP_set_cpu_mask: {
        TRY_ASSIGN(cpus, read_bitmap(op.cpu_mask));
        trace::set_cpus(cpus);
        return {};
    }
    case XEN_SYSCTL_TBUFOP_set_evt_mask: trace::set_events(op.evt_mask); return {};
    case XEN_SYSCTL_TBUFOP_set_size: return trace::set_size(op.size);
    case XEN_SYSCTL_TBUFOP_enable:
        TRY(trace::enable());
        set_watcher(WatchedBy::trace, &calls);
        return {};
    case XEN_SYSCTL_TBUFOP_disable:
        set_watcher(WatchedBy::trace, nullptr);
        trace::disable();
        return {};
    default: return fail(Errno::EINVAL);
    }
}

} // namespace streak::hypercall
