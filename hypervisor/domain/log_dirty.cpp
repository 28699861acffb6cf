// SPDX-License-Identifier: GPL-2.0-only
#include "domain/log_dirty.hpp"

#include "arch/smp.hpp"
#include "domain/notify.hpp"
#include "domain/scheduler.hpp"
#include "grant/grant_table.hpp"
#include "mm/host_env.hpp"
#include "mm/host_page_table.hpp"
#include "mm/soft_tlb.hpp"

namespace streak {

namespace mm {

constinit u32 dirty_logs = 0;

namespace {

[[nodiscard]] DirtyLog* log_of(const PageInfo& page) {
    const DomainPages* account = account_of(page.owner_id());
    return account ? __atomic_load_n(&account->log, __ATOMIC_ACQUIRE) : nullptr;
}

} // namespace

void note_write_logged(const PageInfo& page) {
    if (DirtyLog* log = log_of(page)) log->mark(m2p(mfn_of(page)));
}

void note_writer(const PageInfo& page) {
    if (DirtyLog* log = log_of(page)) log->keep(m2p(mfn_of(page)));
}

struct SoftTlbEnv {
    [[nodiscard]] static u64* table(u64 entry) { return arch::direct_map<u64>(Maddr(entry & pte::address_mask)); }
    [[nodiscard]] static u64 entry_for(const u64* table) {
        return arch::direct_map_maddr(table).raw() | pte::present | pte::writable | pte::user | pte::accessed;
    }
    static void note_write(Mfn frame) {
        if (const PageInfo* page = page_of(frame)) note_write_logged(*page);
    }
    [[nodiscard]] static bool is_noted(Mfn frame) {
        const PageInfo* page = page_of(frame);
        const DirtyLog* log = page ? log_of(*page) : nullptr;
        return log && log->is_dirty(m2p(frame));
    }
    static void root_changed() {
        for (arch::GuestRoot& root : arch::this_cpu().guest_roots) root.shown_cr3 = 0;
    }
    static void flush_guest() { tlb::flush_local(tlb::Flush::guest); }
};

} // namespace mm

void tlb::flush_soft(Flush kind, Vaddr address) {
    mm::HostSoftTlb& tables = *current().soft_tlb;
    if (kind == Flush::page) tables.drop_page(address.raw());
    else tables.drop();
}

namespace log_dirty {

namespace {

using mm::DirtyLog;

constexpr unsigned tables_order = 8; ///< 1 MiB for each vCPU
constinit mm::SoftTlbEnv env;

[[nodiscard]] bool give_tables(Vcpu& v) {
    auto* memory = static_cast<u64*>(mm::alloc_zeroed_pages(tables_order));
    if (!memory) return false;
    v.soft_tlb = mm::make_owned<mm::HostSoftTlb>(env, memory, 1u << tables_order).release();
    if (!v.soft_tlb) {
        mm::free_pages(memory, tables_order);
        return false;
    }
    for (const bool user : {false, true}) {
        u64* const root = v.soft_tlb->root(user);
        const Maddr at = arch::direct_map_maddr(root);
        mm::install_hypervisor_slots(to_mfn(at));
        if (!user) root[arch::first_hypervisor_slot] = mm::hypervisor_l4()[arch::first_hypervisor_slot];
        (user ? v.root_user : v.root_kernel) = at.raw();
    }
    return true;
}

void take_tables(Vcpu& v) {
    mm::Owned<mm::HostSoftTlb> tables(std::exchange(v.soft_tlb, nullptr));
    if (tables) mm::free_pages(tables->root(false), tables_order);
}

[[nodiscard]] mm::Owned<DirtyLog> make_log(const Domain& d) {
    // A guest says itself how many page frame numbers it has.
    const u64 wanted = std::max<u64>({d.shared_info->arch.max_pfn, d.pages.total, 1});
    const u64 pfns = std::min<u64>(wanted, mm::frame_table_frames + (1ull << (32 - page_shift)));
    auto* memory = static_cast<u64*>(mm::allocate(DirtyLog::bytes_for(pfns)));
    if (!memory) return {};
    auto log = mm::make_owned<DirtyLog>(memory, pfns);
    if (!log) mm::deallocate(memory, DirtyLog::bytes_for(pfns));
    return log;
}

void drop(Domain& d, mm::Owned<DirtyLog> log) {
    d.for_each_vcpu(take_tables);
    mm::deallocate(log->memory(), DirtyLog::bytes_for(log->pfns()));
}

/// What others have mapped before. (What their tables hold means nothing once they are something else: then a page too
/// many is told.)
void find_mappings(const Domain& d) {
    for (u64 frame = 0; frame < mm::frame_table_frames; ++frame) {
        if (frame % 512 == 0) arch::interrupt_window();
        const mm::PageInfo* table = mm::page_of(Mfn(frame));
        if (!table || table->owner_id() == d.id) continue;
        const u64 word = table->type.load(std::memory_order_relaxed);
        if (mm::type_bits::type(word) != mm::PageType::l1 || mm::type_bits::count(word) == 0) continue;
        for (const u64& slot : std::span(mm::HostEnv::entries(*table), mm::pte::entries)) {
            const u64 entry = __atomic_load_n(&slot, __ATOMIC_RELAXED);
            if ((~entry & (mm::pte::present | mm::pte::writable)) != 0) continue;
            const mm::PageInfo* page = mm::page_of(mm::pte::frame(entry));
            if (page && page->owner_id() == d.id) mm::note_writer(*page);
        }
    }
}

void note_page(const void* memory) {
    if (memory) mm::note_write(mm::page_of_unchecked(to_mfn(arch::direct_map_maddr(memory))));
}

} // namespace

Result<> start(Domain& d) {
    const scheduler::Stopped stopped(d);
    if (d.pages.log || d.dying) return fail(Errno::EINVAL);
    auto log = make_log(d);
    if (!log) return fail(Errno::ENOMEM);
    for (Vcpu* v : d.vcpus) {
        arch::interrupt_window();
        if (v && !give_tables(*v)) {
            drop(d, std::move(log));
            return fail(Errno::ENOMEM);
        }
    }
    __atomic_store_n(&d.pages.log, log.release(), __ATOMIC_RELEASE);
    __atomic_fetch_add(&mm::dirty_logs, 1, __ATOMIC_SEQ_CST);
    find_mappings(d);
    return {};
}

void stop(Domain& d) {
    if (!d.pages.log) return;
    const scheduler::Stopped stopped(d);
    mm::Owned<DirtyLog> log(__atomic_exchange_n(&d.pages.log, nullptr, __ATOMIC_SEQ_CST));
    __atomic_fetch_sub(&mm::dirty_logs, 1, __ATOMIC_SEQ_CST);
    // No CPU is in the midst of noting something any more, nor has it translations by the tables.
    tlb::flush(smp::online(), tlb::Flush::guest);
    drop(d, std::move(log));
}

void note_writers(Domain& d) {
    for (const Vcpu* v : d.vcpus) {
        if (!v) continue;
        if (const mm::PageInfo* page = v->info_page) mm::note_write(*page);
        for (const auto& frames : {v->pv.gdt_frames, v->pv.ldt_frames}) // the processor marks descriptors as used
            for (const mm::PageInfo* page : frames)
                if (page) mm::note_write(*page);
    }
    {
        LockGuard guard(d.event_lock);
        for (u32 i = 0; d.fifo && i < d.fifo->vcpus(); ++i) note_page(d.fifo->control_page(VcpuId(i)));
        for (u32 i = 0; d.fifo && i < d.fifo->page_count(); ++i) note_page(d.fifo->array_page(i));
    }
    LockGuard guard(d.grant_lock);
    d.grants->for_each_pinned([](const grant::Granted& g) {
        const mm::PageInfo* page = g.writers != 0 && !g.transitive ? mm::page_of(g.mfn()) : nullptr;
        if (page) mm::note_write(*page);
    });
}

bool handle_fault(Vcpu& v, u64 address, u32& error_code) {
    using Fill = mm::HostSoftTlb::Fill;
    if (error_code & mm::fault::reserved) return false;
    const bool user = arch::this_cpu().cr3 == v.root_user;
    const Fill made = v.soft_tlb->fill(user, user ? v.cr3_user : v.cr3_kernel, address, error_code);
    if (made == Fill::done) {
        if (DirtyLog* log = v.domain->pages.log) __atomic_fetch_add(&log->fault_count, 1, __ATOMIC_RELAXED);
        return true;
    }
    error_code = (error_code & ~mm::fault::present) | (made == Fill::forbidden ? mm::fault::present : 0);
    return false;
}

} // namespace log_dirty

} // namespace streak

using namespace streak;

extern "C" bool handle_soft_tlb_fault(u64 address, u32 error_code) {
    return log_dirty::handle_fault(current(), address, error_code);
}
