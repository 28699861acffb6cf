// SPDX-License-Identifier: GPL-2.0-only
#include "mm/page.hpp"

#include <cstring>

#include "arch/smp.hpp"
#include "arch/speculation.hpp"
#include "lib/panic.hpp"
#include "mm/boot_memory.hpp"
#include "mm/descriptor_check.hpp"
#include "mm/host_env.hpp"
#include "mm/host_page_table.hpp"

namespace streak::mm {

bool is_ram(Mfn mfn) { return frame_is_ram(mfn); }

bool get_page(PageInfo& page, DomId owner) { return take_reference(host_env, page, owner); }

void put_page(PageInfo& page) { HostEnv::put_page(page); }

void HostEnv::last_reference_gone(PageInfo& page, u64 before) {
    ASSERT((before & count_bits::mask) == 1 && !(before & count_bits::shared_heap));
    free_domain_page(page);
}

Result<> get_page_and_type(PageInfo& page, DomId owner, PageType type) {
    const bool shared = type == PageType::writable || type == PageType::segment_descriptor;
    if (unlikely(!shared || !get_page(page, owner))) return fail(Errno::EINVAL);
    if (likely(take_shared_type(host_env, page, type))) return {};
    put_page(page);
    return fail(Errno::EINVAL);
}

void put_page_and_type(PageInfo& page) {
    note_write(page); // what it was taken for
    drop_shared_type(host_env, page);
    put_page(page);
}

void HostEnv::flush_stale(const PageInfo& page) {
    // Other domains may have mapped the frame, too: any CPU may hold an entry.
    CpuMask cpus = smp::online();
    tlb::filter(cpus, page.tlb_stamp);
    if (!cpus.empty()) tlb::flush(cpus, tlb::Flush::guest);
}

bool HostEnv::descriptors_ok(const PageInfo& page) {
    u64* const table = page_memory<u64>(page);
    return std::all_of(table, table + page_size / sizeof(u64), [](u64& d) { return fix_descriptor(d); });
}

void HostEnv::install_hypervisor_slots(u64* l4) {
    constexpr unsigned first = arch::first_hypervisor_slot, slots = arch::last_hypervisor_slot - first + 1;
    std::memcpy(l4 + first, hypervisor_l4() + first, slots * sizeof(u64));
    l4[first] = 0; // the guest's M2P: show_m2p()
}

void HostEnv::entry_written_logged(const u64& slot, u64 entry) {
    const PageInfo& table = page_of_unchecked(to_mfn(arch::direct_map_maddr(&slot)));
    note_write(table);
    const PageInfo* mapped = entry & pte::present && entry & pte::writable ? page_of(pte::frame(entry)) : nullptr;
    if (mapped && mapped->owner != table.owner) note_writer(*mapped);
}

void HostEnv::l4_changed(const PageInfo& l4) {
    if (!arch::measures.own_entries) return;
    const u64 cr3 = to_maddr(mfn_of(l4)).raw();
    CpuMask cpus;
    std::atomic_thread_fence(std::memory_order_seq_cst); // fill_guest_root() has the other half
    smp::online().for_each([&](CpuId cpu) {
        for (arch::GuestRoot& root : arch::percpu(cpu).guest_roots)
            if (u64 shown = cr3;
                __atomic_compare_exchange_n(&root.shown_cr3, &shown, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                cpus.set(cpu);
    });
    if (!cpus.empty()) tlb::flush(cpus, tlb::Flush::guest);
}

void show_m2p(u64 l4) {
    u64& slot = arch::direct_map<u64>(Maddr(l4))[arch::first_hypervisor_slot];
    const u64 entry = hypervisor_l4()[arch::first_hypervisor_slot];
    if (slot == entry) return;
    slot = entry;
    HostEnv::entry_written(slot, 0);
    HostEnv::l4_changed(page_of_unchecked(to_mfn(Maddr(l4))));
}

void install_hypervisor_slots(Mfn l4) { HostEnv::install_hypervisor_slots(arch::direct_map<u64>(to_maddr(l4))); }

} // namespace streak::mm
