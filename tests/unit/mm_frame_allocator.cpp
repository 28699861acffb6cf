// SPDX-License-Identifier: GPL-2.0-only
//
// The frame allocator on a machine of 32 MiB whose frame table, M2P and memory are this process's.
#include <sys/mman.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "mm/frame_allocator.cpp"

namespace {
unsigned flushes = 0; ///< of stale translations
}

namespace streak {

void spin_wait() {}
void panic_message(const char* file, unsigned line, const char* text) {
    std::fprintf(stderr, "%s:%u: %s\n", file, line, text);
    std::abort();
}

void arch::clear_memory(void* pages, u64 bytes) { std::memset(pages, 0, bytes); }

namespace smp {
const CpuMask& online() {
    static const CpuMask one = CpuMask::of(CpuId(0));
    return one;
}
} // namespace smp

namespace tlb {
u32 stamp_now() { return 7; }
void filter(CpuMask&, u32) {}
void flush(const CpuMask&, Flush, Vaddr) { ++flushes; }
} // namespace tlb

void mm::put_page(PageInfo& page) {
    if ((page.count.fetch_sub(1) & count_bits::mask) == 1) free_domain_page(page);
}

} // namespace streak

using namespace streak;
using namespace streak::mm;

namespace {

constexpr u64 machine_frames = 8192, first_frame = 16, hole_start = 3000, hole_end = 3100;
constexpr u64 usable = machine_frames - first_frame - (hole_end - hole_start);

void map_at(u64 address, u64 bytes) {
    void* at = ::mmap(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    REQUIRE(at == reinterpret_cast<void*>(address));
}

/// The machine exists once; each test gives back all it took.
void start_machine() {
    if (memory_totals().total_frames != 0) return;
    map_at(arch::frame_table_base, frames_per_chunk * sizeof(PageInfo));
    map_at(arch::m2p_base, frames_per_chunk * sizeof(u64));
    map_at(arch::direct_map_base, machine_frames << page_shift);
    frame_table_frames = frames_per_chunk;
    frame_chunks[0] = 1;
    add_free_range(Mfn(first_frame), hole_start - first_frame);
    add_free_range(Mfn(hole_end), machine_frames - hole_end);
}

u64 free_count() { return memory_totals().free_frames; }
u64 number(const PageInfo* block) { return mfn_of(*block).raw(); }

/// An account for the length of a test.
struct Account {
    DomainPages pages;
    explicit Account(u16 id, u64 max) {
        pages.id = DomId(id);
        pages.max = max;
        register_account(pages.id, &pages);
    }
    ~Account() {
        close_account(pages);
        while (pages.first != no_frame) (void)release_allocation(page_of_unchecked(Mfn(pages.first)));
        register_account(pages.id, nullptr);
    }
};

} // namespace

TEST_CASE("all memory is there, but for the holes", "[mm][frame_allocator]") {
    start_machine();
    CHECK(memory_totals().total_frames == usable);
    CHECK(free_count() == usable);
}

TEST_CASE("blocks are aligned, inside the limits and nobody else's, whatever came before", "[mm][frame_allocator]") {
    start_machine();
    std::mt19937 random(11);
    std::map<u64, unsigned> taken; // first frame → order
    std::vector<bool> used(machine_frames);
    u64 frames = 0;
    for (int step = 0; step < 20000; ++step) {
        if (random() % 5 < 3) {
            const unsigned order = random() % 4 == 0 ? random() % 9 : 0,
                           bits = random() % 3 == 0 ? 20 + random() % 6 : 64;
            PageInfo* block = alloc_frames(order, bits);
            if (!block) continue;
            const u64 first = number(block);
            REQUIRE(first % (1ull << order) == 0);
            REQUIRE((bits == 64 || ((first + (1ull << order)) << page_shift) <= 1ull << bits));
            for (u64 f = first; f < first + (1ull << order); ++f) {
                REQUIRE((f >= first_frame && f < machine_frames && (f < hole_start || f >= hole_end)));
                REQUIRE(!used[f]);
                used[f] = true;
                REQUIRE(page_of_unchecked(Mfn(f)).owner_id() == xen_id);
            }
            taken[first] = order;
            frames += 1ull << order;
        } else if (!taken.empty()) {
            auto it = taken.lower_bound(random() % machine_frames);
            if (it == taken.end()) it = taken.begin();
            for (u64 f = it->first; f < it->first + (1ull << it->second); ++f) used[f] = false;
            frames -= 1ull << it->second;
            free_frames(page_of_unchecked(Mfn(it->first)), it->second);
            taken.erase(it);
        }
        REQUIRE(free_count() == usable - frames);
    }
    for (const auto& [first, order] : taken) free_frames(page_of_unchecked(Mfn(first)), order);
    CHECK(free_count() == usable);
    // Everything has merged again: the upper half of the machine is one block.
    PageInfo* large = alloc_frames(12);
    REQUIRE(large);
    CHECK(number(large) == 4096);
    free_frames(*large, 12);
}

TEST_CASE("who does not ask for low memory leaves it alone", "[mm][frame_allocator]") {
    start_machine();
    std::vector<PageInfo*> high; // of two frames each: single ones come from those that were freed last
    for (u64 i = 0; i < 1024; ++i) high.push_back(alloc_frames(1));
    for (const PageInfo* page : high) REQUIRE(number(page) >= 4096);
    PageInfo* low = alloc_frames(3, 20);
    REQUIRE(low);
    CHECK(number(low) + 8 <= 256);
    CHECK(alloc_frames(9, 20) == nullptr); // 2 MiB below 1 MiB
    CHECK(alloc_frames(0, page_shift - 1) == nullptr);
    CHECK(alloc_frames(max_order + 1) == nullptr);
    free_frames(*low, 3);
    for (PageInfo* page : high) free_frames(*page, 1);
    CHECK(free_count() == usable);
}

TEST_CASE("a new domain finds nothing in its frames", "[mm][frame_allocator]") {
    start_machine();
    std::memset(reinterpret_cast<void*>(arch::direct_map_base), 0xa5, machine_frames << page_shift);
    Account a(1, 1024);
    const auto block = alloc_domain_frames(a.pages, 5);
    REQUIRE(block);
    const auto* bytes = page_memory<unsigned char>(**block);
    bool empty = true;
    for (u64 i = 0; i < 32 * page_size; ++i) empty &= bytes[i] == 0;
    CHECK(empty);
    CHECK(a.pages.total == 32);
    CHECK((*block)->owner_id() == DomId(1));
}

TEST_CASE("an account has its limit, and is told when it is empty", "[mm][frame_allocator]") {
    start_machine();
    unsigned told = 0;
    {
        Account a(2, 3);
        a.pages.context = &told;
        a.pages.emptied = [](void* count) { ++*static_cast<unsigned*>(count); };
        REQUIRE(alloc_domain_frames(a.pages, 1));
        CHECK(alloc_domain_frames(a.pages, 1).error() == Errno::ENOMEM);
        const auto last = alloc_domain_frames(a.pages, 0);
        REQUIRE(last);
        CHECK(alloc_domain_frames(a.pages, 0).error() == Errno::ENOMEM);

        PageInfo& page = **last;
        page.count.fetch_add(1); // somebody maps it
        CHECK(steal_frame(a.pages, page).error() == Errno::EBUSY);
        CHECK(release_allocation(page));
        CHECK(!release_allocation(page));
        CHECK(a.pages.total == 3);
        m2p(mfn_of(page)) = 5;
        put_page(page);
        CHECK(a.pages.total == 2);
        CHECK(m2p(mfn_of(page)) == invalid_m2p_entry);
        CHECK(told == 0);
    }
    CHECK(told == 1);
    CHECK(free_count() == usable);
}

TEST_CASE("a stolen frame stays charged until something replaces it", "[mm][frame_allocator]") {
    start_machine();
    Account a(3, 2), b(4, 1);
    const auto block = alloc_domain_frames(a.pages, 1);
    REQUIRE(block);
    PageInfo& page = **block;
    REQUIRE(steal_frame(a.pages, page));
    CHECK(a.pages.total == 2);
    CHECK(alloc_domain_frames(a.pages, 0).error() == Errno::ENOMEM);
    REQUIRE(assign_frames(b.pages, page, 0));
    uncharge(a.pages, 1);
    CHECK(a.pages.total == 1);
    CHECK(b.pages.total == 1);
    CHECK(page.owner_id() == DomId(4));
    CHECK(alloc_domain_frames(b.pages, 0).error() == Errno::ENOMEM);
    CHECK(steal_frame(a.pages, page).error() == Errno::EBUSY); // it is the other's
}

TEST_CASE("claimed memory is nobody else's", "[mm][frame_allocator]") {
    start_machine();
    Account a(5, machine_frames), b(6, machine_frames);
    CHECK(set_claim(a.pages, usable + 1).error() == Errno::ENOMEM);
    REQUIRE(set_claim(a.pages, usable - 8));
    CHECK(memory_totals().claimed_frames == usable - 8);
    CHECK(set_claim(b.pages, 16).error() == Errno::ENOMEM);
    CHECK(alloc_domain_frames(b.pages, 4).error() == Errno::ENOMEM);
    REQUIRE(alloc_domain_frames(b.pages, 3));
    CHECK(alloc_domain_frames(b.pages, 0).error() == Errno::ENOMEM);
    CHECK(alloc_frames(0) == nullptr); // nor the hypervisor's
    REQUIRE(alloc_domain_frames(a.pages, 6));
    CHECK(a.pages.claim == usable - 8 - 64);
    REQUIRE(set_claim(a.pages, 100)); // of which it has 64
    CHECK(memory_totals().claimed_frames == 36);
    close_account(a.pages);
    CHECK(memory_totals().claimed_frames == 0);
}

TEST_CASE("a frame that a TLB may still know is flushed before it goes out", "[mm][frame_allocator]") {
    start_machine();
    {
        Account a(7, 1);
        REQUIRE(alloc_domain_frames(a.pages, 0));
    } // freed: stamped
    flushes = 0;
    PageInfo* again = alloc_frames(0);
    REQUIRE(again);
    CHECK(flushes == 1);
    free_frames(*again, 0);
}

TEST_CASE("a page that is only shown is never freed by those who map it", "[mm][frame_allocator]") {
    start_machine();
    Account a(8, 0);
    void* memory = alloc_zeroed_pages(0);
    REQUIRE(memory);
    share_heap_page(memory, a.pages.id, true);
    PageInfo& page = page_of_unchecked(to_mfn(arch::direct_map_maddr(memory)));
    CHECK(!release_allocation(page));
    CHECK(!heap_page_in_use(memory));
    page.count.fetch_add(1);
    CHECK(heap_page_in_use(memory));
    CHECK(!unshare_heap_page(memory));
    put_page(page);
    CHECK(unshare_heap_page(memory));
    free_pages(memory, 0);
    CHECK(free_count() == usable);
}

TEST_CASE("a stolen frame comes back, or its charge goes", "[mm][frame_allocator]") {
    start_machine();
    const u64 before = free_count();
    {
        Account account(3, 2);
        PageInfo& page = **alloc_domain_frames(account.pages, 0, 64);
        REQUIRE(steal_frame(account.pages, page));
        CHECK(account.pages.first == no_frame);
        CHECK(account.pages.total == 1); // charged meanwhile, so that it fits
        replace_frames(account.pages, page, 0);
        CHECK(account.pages.first == number(&page));
        CHECK(account.pages.total == 1);
        page.count.fetch_add(1); // somebody uses it
        CHECK(steal_frame(account.pages, page).error() == Errno::EBUSY);
        page.count.fetch_sub(1);
    }
    CHECK(free_count() == before);
}
