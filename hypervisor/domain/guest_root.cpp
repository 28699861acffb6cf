// SPDX-License-Identifier: GPL-2.0-only
#include "mm/guest_root.hpp"
#include "arch/speculation.hpp"
#include "domain/domain.hpp"
#include "mm/host_env.hpp"

using namespace streak;

/// xpti.S: no guest root of this CPU shows the tables of the vCPU that is about to run. Returns CR3 for the guest,
/// such that old translations go.
extern "C" u64 fill_guest_root() {
    arch::PerCpu& cpu = arch::this_cpu();
    const Vcpu& v = current();
    const unsigned index = v.in_kernel ? 0 : 1;
    arch::GuestRoot& root = cpu.guest_roots[index];
    u64 cr3 = cpu.cr3;
    __atomic_store_n(&root.shown_cr3, cr3, __ATOMIC_RELAXED);
    std::atomic_thread_fence(std::memory_order_seq_cst); // HostEnv::l4_changed() sees it, or we the new entry
    if (v.domain->privileged ? arch::measures.xpti_dom0 : arch::measures.xpti_domu) {
        const Maddr table = arch::direct_map_maddr(root.table);
        mm::show_guest_entries(mm::host_env, root.table, to_mfn(table), mm::page_of_unchecked(to_mfn(Maddr(cr3))));
        cr3 = table.raw() | (arch::measures.pcid ? arch::first_guest_pcid + index : 0);
    }
    root.cr3 = cr3 | cpu.keep_tlb;
    return cr3;
}
