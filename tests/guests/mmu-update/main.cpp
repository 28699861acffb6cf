// SPDX-License-Identifier: GPL-2.0-only
//
// The story: mmu_update is the hypercall Linux makes most. A batch must apply in order, stop at the first
// entry that is refused, tell how many were done, keep the accessed and dirty bits when asked to, and let
// nobody rewrite the translation of a frame that is not his.
//
// again: xpti=yes

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u64 window = 0x20000000000;
constinit Page* data = nullptr;

volatile u64& window_word(unsigned page) { return *reinterpret_cast<volatile u64*>(window + page * page_size); }

void check_batches() {
    static mmu_update_t updates[128];
    static Page* pages[128];
    for (unsigned i = 0; i < 128; ++i) {
        pages[i] = i % 2 ? data : data + 1;
        updates[i] = {machine_address(entry_of(window + i * page_size)), pte(mfn_of(pages[i]), pte_rw)};
    }
    u32 done = 77;
    expect_eq(mmu_update_op(updates, 128, &done), 0, "a batch of 128");
    expect_eq(done, 128, "is done whole");
    unsigned wrong = 0;
    for (unsigned i = 0; i < 128; ++i) {
        window_word(i) = i;
        wrong += pages[i]->word[0] != i;
    }
    expect_eq(wrong, 0, "every page is where it was put");

    for (mmu_update_t& update : updates) update.val = 0;
    updates[50].val = pte(root_mfn(), pte_rw);
    done = 77;
    expect_error(mmu_update_op(updates, 128, &done), "a batch with a refused entry");
    expect_eq(done, 50, "is done up to it");
    expect_eq(*entry_of(window + 49 * page_size), 0, "the entry before it was written");
    expect(*entry_of(window + 50 * page_size) != 0, "the refused one was not");
    expect(*entry_of(window + 51 * page_size) != 0, "nor any behind it");
    updates[50].val = 0;
    expect_eq(mmu_update_op(updates, 128), 0, "without a done pointer");
    done = 77;
    expect_eq(mmu_update_op(updates, 0, &done), 0, "an empty batch");
    expect_eq(done, 0, "does nothing");
    expect(catch_trap([] { window_word(3) = 1; }).is(vector_pf, 2), "cleared entries map nothing");
}

void check_order() {
    const u64 address = machine_address(entry_of(window));
    mmu_update_t updates[3] = {{address, pte(mfn_of(data), pte_ro)},
                               {address, pte(mfn_of(data + 1), pte_ro)},
                               {address, pte(mfn_of(data + 2), pte_ro)}};
    expect_eq(mmu_update_op(updates, 3), 0, "the same entry three times");
    expect_eq((*entry_of(window) & pte_frame_mask) >> 12, mfn_of(data + 2), "the last one holds");
}

void check_accessed_dirty() {
    const u64* entry = entry_of(window);
    expect_eq(set_entry(entry, pte(mfn_of(data), pte_rw & ~pte_dirty & ~pte_accessed)), 0, "a fresh entry");
    mmuext(MMUEXT_INVLPG_LOCAL, window);
    window_word(0) = 1;
    expect_eq(*entry & (pte_dirty | pte_accessed), pte_dirty | pte_accessed, "is marked by the processor");
    const u64 clean = pte(mfn_of(data), pte_ro & ~pte_accessed);
    expect_eq(set_entry(entry, clean, MMU_PT_UPDATE_PRESERVE_AD), 0, "an update that preserves A and D");
    expect_eq(*entry & (pte_dirty | pte_accessed), pte_dirty | pte_accessed, "preserves them");
    expect_eq(*entry & pte_write, 0, "and changes the rest");
    expect_eq(set_entry(entry, clean, MMU_NORMAL_PT_UPDATE), 0, "a plain update");
    expect_eq(*entry & pte_dirty, 0, "does not preserve the dirty bit");
    const u64 other = pte(mfn_of(data + 1), pte_ro);
    expect_eq(set_entry(entry, other, MMU_PT_UPDATE_NO_TRANSLATE), 0, "an update of machine frames, as all are");
    expect_eq(set_entry(entry, 0), 0, "the entry goes");
}

void check_machphys() {
    const u64 mfn = mfn_of(data), pfn = pfn_of(data);
    mmu_update_t update = {mfn << 12 | MMU_MACHPHYS_UPDATE, 0x123456};
    expect_eq(mmu_update_op(&update, 1), 0, "MACHPHYS_UPDATE of an own frame");
    expect_eq(m2p(mfn), 0x123456, "is seen in the M2P");
    update.val = pfn;
    expect_eq(mmu_update_op(&update, 1), 0, "and back");
    expect_eq(m2p(mfn), pfn, "the M2P is as before");
    update = {0xfee00000 | MMU_MACHPHYS_UPDATE, 1};
    expect_error(mmu_update_op(&update, 1), "MACHPHYS_UPDATE of a device");
    update = {1ull << 50 | MMU_MACHPHYS_UPDATE, 1};
    expect_error(mmu_update_op(&update, 1), "MACHPHYS_UPDATE beyond the machine");
}

void check_domains() {
    mmu_update_t update = {machine_address(entry_of(window)), pte(mfn_of(data), pte_ro)};
    u32 done = 77;
    expect_eq(mmu_update_op(&update, 1, &done, 7), -XEN_ESRCH, "a domain that is not there");
    expect_eq(done, 0, "nothing is done"); // Linux goes on behind this number
    expect_error(mmu_update_op(&update, 1, nullptr, 8u << 16), "tables of a domain that is not there");
    expect_eq(mmu_update_op(&update, 1, nullptr, DOMID_SELF), 0, "this domain");
    update.val = 0;
    expect_eq(mmu_update_op(&update, 1), 0, "and back");
}

void check_other_tables() {
    // Nothing forbids mmu_update on a page that is plain, writable memory.
    mmu_update_t update = {mfn_of(data + 2) << 12 | 8 * 5, 0xabcdef};
    if (mmu_update_op(&update, 1) == 0) expect_eq(data[2].word[5], 0xabcdef, "an update of plain memory");
    expect_eq(update_va_mapping(window, pte(mfn_of(data + 1), pte_rw), UVMF_INVLPG | UVMF_ALL), 0, "UVMF_ALL");
    window_word(0) = 0x77;
    expect_eq(data[1].word[0], 0x77, "update_va_mapping maps");
    expect_eq(update_va_mapping(window, pte(mfn_of(data + 2), pte_rw), UVMF_TLB_FLUSH | UVMF_LOCAL), 0, "UVMF_LOCAL");
    window_word(0) = 0x88;
    expect_eq(data[2].word[0], 0x88, "and flushes");

    // One vCPU's translations by a bitmap, and none at all.
    static u64 vcpus = 1;
    const u64 multi = std::bit_cast<u64>(&vcpus) | UVMF_TLB_FLUSH | UVMF_MULTI;
    expect_eq(update_va_mapping(window, pte(mfn_of(data), pte_rw), multi), 0, "UVMF_MULTI");
    window_word(0) = 0x99;
    expect_eq(data[0].word[0], 0x99, "and flushes");
    expect_error(update_va_mapping(window, pte(mfn_of(data), pte_rw), HYPERVISOR_VIRT_START | UVMF_TLB_FLUSH),
                 "a bitmap that is the hypervisor's");
    expect_eq(update_va_mapping(window, pte(mfn_of(data + 1), pte_rw), UVMF_NONE), 0, "UVMF_NONE");
    expect_eq(*entry_of(window) & pte_frame_mask, mfn_of(data + 1) << 12, "changes the entry");
}

long update_va_mapping_of(domid_t domain, u64 entry) {
    return hypercall(__HYPERVISOR_update_va_mapping_otherdomain, window, entry, UVMF_INVLPG, domain);
}

void check_other_domain() {
    expect_eq(update_va_mapping_of(DOMID_SELF, pte(mfn_of(data + 2), pte_rw)), 0,
              "a frame of this domain, by its name");
    window_word(0) = 0xaa;
    expect_eq(data[2].word[0], 0xaa, "is mapped");
    expect_eq(update_va_mapping_of(999, pte(mfn_of(data), pte_ro)), -XEN_ESRCH, "a frame of nobody");
    expect_error(update_va_mapping_of(DOMID_IO, pte(mfn_of(data), pte_ro)), "memory as if it were a device");
}

} // namespace

GUEST("mmu-update") {
    data = alloc_pages(3);
    require_eq(map(window, mfn_of(data), pte_rw), 0, "a window");
    check_batches();
    check_order();
    check_accessed_dirty();
    check_machphys();
    check_domains();
    check_other_tables();
    check_other_domain();
}
