// SPDX-License-Identifier: GPL-2.0-only
#include "mm/frame_allocator.hpp"

#include <algorithm>
#include <cstring>

#include "arch/fpu.hpp"
#include "arch/smp.hpp"
#include "arch/tlb.hpp"
#include "lib/panic.hpp"
#include "mm/boot_memory.hpp"

namespace streak::mm {

namespace {

/// Marks the first frame of a free block in PageInfo::count; PageInfo::progress is the block's order.
constexpr u64 free_head = 1ull << 61;

// Zone z holds blocks that end below 2^z bytes and not below 2^(z-1): a natural block lies in one zone.
constexpr unsigned first_zone = page_shift, zones = 53 - first_zone;

constinit std::array<std::array<u32, max_order + 1>, zones> free_lists = [] {
    std::array<std::array<u32, max_order + 1>, zones> lists{};
    for (auto& zone : lists) zone.fill(no_frame);
    return lists;
}();
// Which lists have blocks: a bit for each order of a zone, a bit for each zone.
constinit std::array<u32, zones> orders_present{};
constinit u64 zones_present = 0;

// Single frames that were freed last. They go out again first, without being merged and split.
constexpr u32 recent_capacity = 64;
constinit std::array<u32, recent_capacity> recent{};
constinit u32 recent_count = 0;

constinit SpinLock allocator_lock;
constinit u64 total_frames = 0, free_frame_count = 0, claimed_frames = 0;
constinit std::array<DomainPages*, 0x8000> accounts{};

PageInfo& at(u32 frame) { return page_of_unchecked(Mfn(frame)); }
u32 index_of(const PageInfo& page) { return static_cast<u32>(mfn_of(page).raw()); }

unsigned zone_of(u64 frame, unsigned order) {
    const u64 last_byte = ((frame + (1ull << order)) << page_shift) - 1;
    return std::bit_width(last_byte) - first_zone;
}

void list_add(u32& head, PageInfo& page) {
    page.prev = no_frame;
    page.next = head;
    if (head != no_frame) at(head).prev = index_of(page);
    head = index_of(page);
}

void list_remove(u32& head, PageInfo& page) {
    if (page.prev != no_frame) at(page.prev).next = page.next;
    else head = page.next;
    if (page.next != no_frame) at(page.next).prev = page.prev;
}

void add_block(u64 frame, unsigned order) {
    PageInfo& page = at(static_cast<u32>(frame));
    const unsigned zone = zone_of(frame, order);
    page.count.store(free_head, std::memory_order_relaxed);
    page.progress = static_cast<u16>(order);
    list_add(free_lists[zone][order], page);
    orders_present[zone] |= 1u << order;
    // NOLINTNEXTLINE(clang-analyzer-core.BitwiseShift): a block ends behind the first page, so there is a zone
    zones_present |= 1ull << zone;
}

void remove_block(PageInfo& page, unsigned order) {
    const unsigned zone = zone_of(mfn_of(page).raw(), order);
    list_remove(free_lists[zone][order], page);
    page.count.store(0, std::memory_order_relaxed);
    if (free_lists[zone][order] != no_frame) return;
    orders_present[zone] &= ~(1u << order);
    if (orders_present[zone] == 0) zones_present &= ~(1ull << zone);
}

bool is_free_block(u64 frame, unsigned order) {
    if (!has_page_info(Mfn(frame))) return false;
    const PageInfo& page = at(static_cast<u32>(frame));
    return page.count.load(std::memory_order_relaxed) == free_head && page.progress == order;
}

/// Puts a block on its list, merged with its free neighbours.
void merge_block(u64 frame, unsigned order) {
    for (; order < max_order && is_free_block(frame ^ (1ull << order), order); ++order) {
        remove_block(at(static_cast<u32>(frame ^ (1ull << order))), order);
        frame &= ~(1ull << order);
    }
    add_block(frame, order);
}

void free_block(u64 frame, unsigned order) {
    free_frame_count += 1ull << order;
    if (order == 0 && recent_count < recent_capacity) recent[recent_count++] = static_cast<u32>(frame);
    else merge_block(frame, order);
}

void merge_recent() {
    while (recent_count != 0) merge_block(recent[--recent_count], 0);
}

/// A block of the highest zone allowed. Of a larger one the upper half is handed out, so that the low end of a zone
/// stays whole.
PageInfo* take_from_lists(unsigned order, unsigned top_zone) {
    for (u64 left = zones_present & (~0ull >> (63 - top_zone)); left != 0;) {
        const unsigned zone = std::bit_width(left) - 1;
        left &= ~(1ull << zone);
        const u32 fitting = orders_present[zone] >> order;
        if (fitting == 0) continue;
        unsigned o = order + static_cast<unsigned>(std::countr_zero(fitting));
        u64 frame = free_lists[zone][o];
        remove_block(at(static_cast<u32>(frame)), o);
        while (o > order) {
            --o;
            add_block(frame, o);
            frame += 1ull << o;
        }
        return &at(static_cast<u32>(frame));
    }
    return nullptr;
}

PageInfo* take_block(unsigned order, unsigned address_bits) {
    const unsigned top_zone = std::min(address_bits - first_zone, zones - 1);
    PageInfo* block = nullptr;
    if (order == 0 && top_zone == zones - 1 && recent_count != 0) {
        block = &at(recent[--recent_count]);
    } else {
        block = take_from_lists(order, top_zone);
        if (!block && recent_count != 0) {
            merge_recent();
            block = take_from_lists(order, top_zone);
        }
    }
    if (block) free_frame_count -= 1ull << order;
    return block;
}

void reset(PageInfo& page, DomId owner) {
    page.count.store(0, std::memory_order_relaxed);
    page.type.store(0, std::memory_order_relaxed);
    page.owner = owner.raw();
    page.progress = 0;
    page.next = page.prev = no_frame;
}

/// A guest that owned one of these frames may still have it in a TLB: nobody else gets it before that is over.
void flush_stale_entries(const PageInfo* block, unsigned order) {
    u32 newest = 0;
    for (u64 i = 0; i < (1ull << order); ++i) newest = std::max(newest, block[i].tlb_stamp);
    if (newest == 0) return;
    CpuMask cpus = smp::online();
    tlb::filter(cpus, newest);
    if (!cpus.empty()) tlb::flush(cpus, tlb::Flush::guest);
}

/// `claim`: frames promised to the asking domain, which it may use.
PageInfo* allocate_block(unsigned order, unsigned address_bits, u64 claim) {
    if (order > max_order || address_bits < first_zone) return nullptr;
    PageInfo* block = nullptr;
    {
        LockGuard guard(allocator_lock);
        if (free_frame_count >= (1ull << order) + claimed_frames - claim) block = take_block(order, address_bits);
    }
    if (block) flush_stale_entries(block, order);
    return block;
}

void use_claim(DomainPages& of, u64 frames) {
    const u64 used = std::min(of.claim, frames);
    if (used == 0) return;
    LockGuard guard(allocator_lock);
    of.claim -= used;
    claimed_frames -= used;
}

} // namespace

void register_account(DomId id, DomainPages* pages) { accounts[id.raw() & 0x7fff] = pages; }
DomainPages* account_of(DomId id) { return accounts[id.raw() & 0x7fff]; }

void add_free_range(Mfn first, u64 frames) {
    LockGuard guard(allocator_lock);
    total_frames += frames;
    u64 frame = first.raw();
    while (frames != 0) {
        const unsigned align = frame == 0 ? max_order : std::countr_zero(frame);
        const unsigned order = std::min({align, max_order, static_cast<unsigned>(std::bit_width(frames)) - 1});
        for (u64 i = 0; i < (1ull << order); ++i) reset(at(static_cast<u32>(frame + i)), invalid_domid);
        free_block(frame, order);
        frame += 1ull << order;
        frames -= 1ull << order;
    }
}

PageInfo* alloc_frames(unsigned order, unsigned address_bits) {
    PageInfo* block = allocate_block(order, address_bits, 0);
    for (u64 i = 0; block && i < (1ull << order); ++i) reset((&*block)[i], xen_id);
    return block;
}

void free_frames(PageInfo& first, unsigned order) {
    for (u64 i = 0; i < (1ull << order); ++i) reset((&first)[i], invalid_domid);
    LockGuard guard(allocator_lock);
    free_block(mfn_of(first).raw(), order);
}

void* alloc_zeroed_pages(unsigned order) {
    PageInfo* block = alloc_frames(order);
    if (!block) return nullptr;
    void* memory = page_memory(*block);
    std::memset(memory, 0, page_size << order);
    return memory;
}

void free_pages(void* memory, unsigned order) {
    free_frames(page_of_unchecked(to_mfn(arch::direct_map_maddr(memory))), order);
}

namespace {

/// The account's lock is held.
void enter_list(DomainPages& to, PageInfo& first, unsigned order) {
    for (u64 i = 0; i < (1ull << order); ++i) {
        PageInfo& page = (&first)[i];
        reset(page, to.id);
        page.count.store(count_bits::allocated | 1, std::memory_order_release);
        list_add(to.first, page);
    }
}

} // namespace

Result<> assign_frames(DomainPages& to, PageInfo& first, unsigned order) {
    const u64 frames = 1ull << order;
    LockGuard guard(to.lock);
    if (to.total + frames > to.max) return fail(Errno::ENOMEM);
    enter_list(to, first, order);
    to.total += frames;
    return {};
}

void replace_frames(DomainPages& to, PageInfo& first, unsigned order) {
    LockGuard guard(to.lock);
    enter_list(to, first, order);
}

void uncharge(DomainPages& account, u64 frames) {
    LockGuard guard(account.lock);
    account.total -= frames;
}

Result<PageInfo*> alloc_domain_frames(DomainPages& to, unsigned order, unsigned address_bits) {
    PageInfo* block = allocate_block(order, address_bits, to.claim);
    if (!block) return fail(Errno::ENOMEM);
    clear_frames(*block, order);
    if (auto assigned = assign_frames(to, *block, order); !assigned) {
        free_frames(*block, order);
        return fail(assigned.error());
    }
    use_claim(to, 1ull << order);
    return block;
}

Result<> steal_frame(DomainPages& from, PageInfo& page) {
    LockGuard guard(from.lock);
    u64 expected = count_bits::allocated | 1;
    if (page.owner_id() != from.id || (page.type.load() & type_bits::count_mask) != 0 ||
        !page.count.compare_exchange_strong(expected, 0))
        return fail(Errno::EBUSY);
    list_remove(from.first, page);
    page.owner = xen_id.raw();
    return {};
}

void free_stolen_frame(PageInfo& page) {
    m2p(mfn_of(page)) = invalid_m2p_entry;
    page.tlb_stamp = std::max<u32>(1, tlb::stamp_now());
    free_frames(page, 0);
}

void clear_frames(PageInfo& first, unsigned order) {
    if (order == 0) std::memset(page_memory(first), 0, page_size);
    else arch::clear_memory(page_memory(first), page_size << order);
}

bool release_allocation(PageInfo& page) {
    u64 count = page.count.load(std::memory_order_relaxed);
    do {
        if (!(count & count_bits::allocated) || (count & count_bits::shared_heap)) return false;
    } while (!page.count.compare_exchange_weak(count, count & ~count_bits::allocated));
    put_page(page);
    return true;
}

void free_domain_page(PageInfo& page) {
    DomainPages* account = account_of(page.owner_id());
    ASSERT(account);
    {
        LockGuard guard(account->lock);
        list_remove(account->first, page);
        if (--account->total == 0 && account->emptied) account->emptied(account->context);
    }
    free_stolen_frame(page);
}

void share_heap_page(void* memory, DomId owner, bool writable) {
    PageInfo& page = page_of_unchecked(to_mfn(arch::direct_map_maddr(memory)));
    // A read-only page has a type reference that no guest can drop, of a type that excludes writing.
    page.type.store(type_bits::of(writable ? PageType::writable : PageType::none) | type_bits::validated | 1);
    page.owner = owner.raw();
    page.count.store(count_bits::shared_heap | count_bits::allocated | 1);
    if (DomainPages* account = account_of(owner)) ++account->shared_heap;
}

namespace {
constexpr u64 only_shared = count_bits::shared_heap | count_bits::allocated | 1;
}

bool heap_page_in_use(const void* memory) {
    return memory && page_of_unchecked(to_mfn(arch::direct_map_maddr(memory))).count.load() != only_shared;
}

bool unshare_heap_page(void* memory) {
    PageInfo& page = page_of_unchecked(to_mfn(arch::direct_map_maddr(memory)));
    u64 expected = only_shared;
    const DomId owner = page.owner_id();
    if (!page.count.compare_exchange_strong(expected, 0)) return false;
    reset(page, xen_id);
    m2p(mfn_of(page)) = invalid_m2p_entry;
    page.tlb_stamp = std::max<u32>(1, tlb::stamp_now()); // its own type reference kept the count from falling to zero
    if (DomainPages* account = account_of(owner)) --account->shared_heap;
    return true;
}

void close_account(DomainPages& account) {
    {
        LockGuard guard(account.lock);
        account.max = 0;
    }
    (void)set_claim(account, 0);
}

MemoryTotals memory_totals() {
    LockGuard guard(allocator_lock);
    return {.total_frames = total_frames, .free_frames = free_frame_count, .claimed_frames = claimed_frames};
}

Result<> set_claim(DomainPages& of, u64 frames) {
    LockGuard guard(allocator_lock);
    const u64 others = claimed_frames - of.claim;
    const u64 wanted = frames > of.total ? frames - of.total : 0;
    if (wanted != 0 && (frames > of.max || free_frame_count < others + wanted)) return fail(Errno::ENOMEM);
    claimed_frames = others + wanted;
    of.claim = wanted;
    return {};
}

} // namespace streak::mm
