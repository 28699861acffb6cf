// SPDX-License-Identifier: GPL-2.0-only
#include "domain/trace.hpp"

#include "arch/clock.hpp"
#include "domain/domain.hpp"
#include "domain/trace_ring.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/heap.hpp"

namespace streak::trace {

namespace {

constinit SpinLock lock; ///< of those who set
constinit std::array<Ring, max_cpus> rings{};
constinit std::atomic<u32> events{TRC_ALL};
constinit CpuMask all_but{}; ///< CPUs that don't record
constinit t_info* shown = nullptr;
constinit u32 shown_bytes = 0;

/// Both the class and the subclass have to be asked for.
bool wanted(u32 event) {
    const u32 both = event & events.load(std::memory_order_relaxed);
    return both >> TRC_CLS_SHIFT != 0 && (both >> TRC_SUBCLS_SHIFT & 0xf) != 0 && !all_but.test(arch::cpu_id());
}

Mfn show(void* memory, u32 pages, bool writable) {
    for (u32 i = 0; i < pages; ++i) mm::share_heap_page(static_cast<u8*>(memory) + i * page_size, xen_id, writable);
    return to_mfn(arch::direct_map_maddr(memory));
}

/// The buffers' memory, or none. ENOMEM.
Result<> allocate(u32 cpus, u32 bytes) {
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        void* memory = mm::allocate(bytes);
        if (memory) {
            rings[cpu].start(memory, bytes);
            continue;
        }
        while (cpu-- > 0) mm::deallocate(rings[cpu].memory(), bytes);
        return fail(Errno::ENOMEM);
    }
    return {};
}

} // namespace

constinit bool on = false;

void record(u32 event, std::span<const u32> words) {
    if (!wanted(event)) return;
    if (rings[arch::cpu_id().raw()].put(event, clock::read_tsc(), words)) arch::raise_local_work(arch::Work::trace);
}

void notify_reader() { send_global_virq(VIRQ_TBUF); }

Result<> set_size(u32 pages) {
    LockGuard guard(lock);
    if (shown) return pages == shown->tbuf_size ? Result<>{} : fail(Errno::EINVAL);
    // t_info: the size, an offset for each CPU, the lists of frames; offsets count words of 32 bits.
    const u32 cpus = arch::online_cpu_count(), lists = (cpus + 2) / 2;
    if (pages == 0 || pages > 0xffff || lists + u64{cpus} * pages > 0xffff) return fail(Errno::EINVAL);
    const u32 info_pages = static_cast<u32>(((lists + cpus * pages) * sizeof(u32) + page_size - 1) / page_size);
    auto* made = static_cast<t_info*>(mm::allocate(info_pages * page_size));
    if (!made) return fail(Errno::ENOMEM);
    if (auto done = allocate(cpus, static_cast<u32>(pages * page_size)); !done) {
        mm::deallocate(made, info_pages * page_size);
        return done;
    }
    made->tbuf_size = static_cast<u16>(pages);
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        const u32 list = lists + cpu * pages;
        const Mfn first = show(rings[cpu].memory(), pages, true);
        made->mfn_offset[cpu] = static_cast<u16>(list);
        for (u32 i = 0; i < pages; ++i) reinterpret_cast<u32*>(made)[list + i] = static_cast<u32>(first.raw()) + i;
    }
    shown_bytes = info_pages * static_cast<u32>(page_size);
    show(made, info_pages, false);
    shown = made;
    return {};
}

void set_cpus(const CpuMask& cpus) {
    for (u32 cpu = 0; cpu < max_cpus; ++cpu)
        if (cpus.test(CpuId(cpu))) all_but.clear(CpuId(cpu));
        else all_but.set(CpuId(cpu));
}

void set_events(u32 mask) { events.store(mask, std::memory_order_relaxed); }

Result<> enable() {
    LockGuard guard(lock);
    if (!shown) return fail(Errno::EINVAL);
    __atomic_store_n(&on, true, __ATOMIC_SEQ_CST);
    return {};
}

void disable() {
    __atomic_store_n(&on, false, __ATOMIC_SEQ_CST);
    for (Ring& ring : rings) ring.forget_lost();
}

Info info() {
    LockGuard guard(lock);
    return {events.load(), shown ? to_mfn(arch::direct_map_maddr(shown)) : Mfn(0), shown_bytes};
}

} // namespace streak::trace
