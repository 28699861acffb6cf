// SPDX-License-Identifier: GPL-2.0-only
#include "domain/trace.hpp"
#include "hypercall/cpu_bitmap.hpp"
#include "hypercall/dispatch.hpp"
#include "hypercall/watch.hpp"
#include "mm/frame_allocator.hpp"

// XEN_SYSCTL_tbuf_op, and the records of calls. The buffers are mapped by the control domain as DOMID_XEN's. Once there they
// stay, so that nothing writes to memory that has gone.

namespace streak::hypercall {

namespace {

constinit SpinLock lock; ///< of those who make them
constinit std::atomic<t_info*> shown = nullptr;
constinit u32 shown_pages = 0;

/// EINVAL: there are buffers, of another size; none, or more than t_info can tell; ENOMEM.
[[nodiscard]] Result<> make_buffers(u32 pages) {
    LockGuard guard(lock);
    if (const t_info* there = shown) return pages == there->tbuf_size ? Result<>{} : fail(Errno::EINVAL);
    // t_info: the size, an offset for each CPU, the frames of each; offsets count words of 32 bits.
    const u32 cpus = arch::online_cpu_count(), lists = (cpus + 2) / 2;
    if (pages == 0 || lists + u64{cpus} * pages > 0xffff) return fail(Errno::EINVAL);
    const u32 info_pages = (lists + cpus * pages) * 4 / page_size + 1, all = info_pages + cpus * pages;
    const unsigned order = mm::order_for(all * page_size);
    auto* memory = static_cast<u8(*)[page_size]>(mm::alloc_zeroed_pages(order));
    if (!memory) return fail(Errno::ENOMEM);
    for (u32 i = 0; i < 1u << order; ++i)
        if (i < all) mm::share_heap_page(memory[i], xen_id, i >= info_pages);
        else mm::free_pages(memory[i], 0);
    auto* made = reinterpret_cast<t_info*>(memory);
    const u64 first = to_mfn(arch::direct_map_maddr(memory)).raw() + info_pages;
    for (u32 i = 0; i < cpus * pages; ++i) reinterpret_cast<u32*>(made)[lists + i] = static_cast<u32>(first + i);
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        made->mfn_offset[cpu] = static_cast<u16>(lists + cpu * pages);
        trace::rings[cpu].shared = reinterpret_cast<t_buf*>(memory[info_pages + cpu * pages]);
        trace::rings[cpu].size = static_cast<u32>(pages * page_size - sizeof(t_buf));
    }
    made->tbuf_size = static_cast<u16>(pages);
    shown_pages = info_pages;
    shown = made;
    return {};
}

/// TRC_PV_HYPERCALL_V2, with as many of the arguments as there is room for.
void record_begin(const WatchedCall& call) {
    u32 words[TRACE_EXTRA_MAX] = {call.number}, n = 1;
    for (u32 i = 0; i < argument_counts[call.number]; ++i) {
        const u64 value = call.arguments[i];
        const u32 wide = value >> 32 != 0;
        if (n + 1 + wide > TRACE_EXTRA_MAX) break;
        words[0] |= (1 + wide) << (20 + 2 * i); // TRC_PV_HYPERCALL_V2_ARG_32, _64
        words[n++] = static_cast<u32>(value);
        if (wide) words[n++] = static_cast<u32>(value >> 32);
    }
    trace::record(call.in_multicall ? TRC_PV_HYPERCALL_SUBCALL : TRC_PV_HYPERCALL_V2, std::span(words).first(n));
}

/// Number and result; the header has no such record (docs/abi.md).
void record_end(const WatchedCall& call, const Return& result) {
    const u64 value = static_cast<u64>(value_of(result));
    trace::record((call.in_multicall ? TRC_PV_SUBCALL : TRC_PV_ENTRY) + 15,
                  std::array{call.number, static_cast<u32>(value), static_cast<u32>(value >> 32)});
}

constexpr Watcher calls{record_begin, record_end};

Result<> turn(bool on) {
    set_watcher(WatchedBy::trace, on ? &calls : nullptr);
    __atomic_store_n(&trace::on, on, __ATOMIC_RELAXED);
    for (trace::Ring& ring : trace::rings) ring.lost = 0;
    return {};
}

} // namespace

Result<> trace_buffers(xen_sysctl_tbuf_op& op) {
    switch (op.cmd) {
    case XEN_SYSCTL_TBUFOP_get_info:
        op.evt_mask = trace::events;
        op.buffer_mfn = shown ? to_mfn(arch::direct_map_maddr(shown)).raw() : 0;
        op.size = shown_pages * page_size;
        return {};
    case XEN_SYSCTL_TBUFOP_set_cpu_mask: {
        TRY_ASSIGN(cpus, read_bitmap(op.cpu_mask));
        for (u32 cpu = 0; cpu < max_cpus; ++cpu) trace::rings[cpu].silent = !cpus.test(CpuId(cpu));
        return {};
    }
    case XEN_SYSCTL_TBUFOP_set_evt_mask: trace::events = op.evt_mask; return {};
    case XEN_SYSCTL_TBUFOP_set_size: return make_buffers(op.size);
    case XEN_SYSCTL_TBUFOP_enable: return shown ? turn(true) : fail(Errno::EINVAL);
    case XEN_SYSCTL_TBUFOP_disable: return turn(false);
    default: return fail(Errno::EINVAL);
    }
}

} // namespace streak::hypercall
