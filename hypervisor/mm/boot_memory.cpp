// SPDX-License-Identifier: GPL-2.0-only
#include "mm/boot_memory.hpp"

#include <algorithm>
#include <cstring>

#include "arch/cpu.hpp"
#include "arch/image.hpp"
#include "lib/panic.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/host_page_table_build.hpp"

namespace streak::mm {

namespace {

constexpr u64 size_2m = 1ull << 21, four_gib = 1ull << 32;
constexpr u64 low_limit = 1ull << 20; ///< memory below is left to firmware and the AP trampoline

constinit MemoryMap map_;
constinit StaticVector<MemoryRange, 64> reserved;  ///< in use at boot, released piece by piece
constinit StaticVector<MemoryRange, 256> free_ram; ///< RAM not in use, page-aligned
constinit std::array<Maddr, max_chunks / 4> m2p_pieces{};
constinit PanicRecord* record = nullptr;
constinit u64 tables_next = 0, tables_end = 0;

u64 up(u64 value, u64 unit) { return (value + unit - 1) & ~(unit - 1); }
u64 down(u64 value, u64 unit) { return value & ~(unit - 1); }

/// Sets memory aside for the log of a panic, unless it is in use at boot.
void set_record_aside() {
    u64 top = 0;
    for (const MemoryRange& r : map_)
        if (r.type == e820_ram && r.end <= four_gib) top = std::max(top, r.end);
    const u64 start = PanicRecord::place(top), end = start + sizeof(PanicRecord);
    const auto holds = [&](const MemoryRange& r) { return r.type == e820_ram && r.start <= start && end <= r.end; };
    const auto touches = [&](const MemoryRange& r) { return r.start < end && start < r.end; };
    if (std::ranges::any_of(map_, holds) && std::ranges::none_of(reserved, touches) &&
        reserved.push_back({start, end, e820_ram}))
        record = arch::direct_map<PanicRecord>(Maddr(start));
}

void collect_free_ram() {
    for (const MemoryRange& r : map_)
        if (r.type == e820_ram && down(r.end, page_size) > std::max(up(r.start, page_size), low_limit))
            (void)free_ram.push_back({std::max(up(r.start, page_size), low_limit), down(r.end, page_size), e820_ram});
    for (const MemoryRange& used : reserved) {
        for (std::size_t i = 0; i < free_ram.size(); ++i) {
            MemoryRange& f = free_ram[i];
            const u64 start = down(used.start, page_size), end = up(used.end, page_size);
            if (end <= f.start || start >= f.end) continue;
            const MemoryRange above{end, f.end, e820_ram};
            f.end = std::max(f.start, start);
            if (above.start < above.end) (void)free_ram.push_back(above);
        }
    }
}

/// Cuts `bytes` off the top of the highest free range that ends at or below `limit`.
Maddr take(u64 bytes, u64 align, u64 limit) {
    MemoryRange* best = nullptr;
    u64 best_start = 0;
    for (MemoryRange& f : free_ram) {
        const u64 end = std::min(f.end, limit);
        if (end < f.start + bytes) continue;
        const u64 start = down(end - bytes, align);
        if (start >= f.start && (!best || start > best_start)) best = &f, best_start = start;
    }
    if (!best) panic("too little memory: {} KiB in one piece are needed for Streak's tables", bytes / 1024);
    const MemoryRange above{best_start + bytes, best->end, e820_ram};
    best->end = best_start;
    if (above.start < above.end) (void)free_ram.push_back(above);
    return Maddr(best_start);
}

Maddr take_table() {
    if (tables_next == tables_end) {
        // Early tables are written through the boot direct map, which covers 4 GiB.
        tables_next = take(64 * page_size, page_size, four_gib).raw();
        tables_end = tables_next + 64 * page_size;
    }
    const Maddr table(tables_next);
    tables_next += page_size;
    return table;
}

bool mapped_directly(const MemoryRange& r) { return r.type == e820_ram || r.type == e820_acpi || r.type == e820_nvs; }

void map_ram() {
    const bool gigabyte_pages = arch::cpuid(0x80000001).edx & (1u << 26);
    map_range(arch::direct_map_base, Maddr(0), low_limit, Access::read_write, false);
    for (const MemoryRange& r : map_) {
        const u64 start = std::max(down(r.start, page_size), low_limit), end = up(r.end, page_size);
        if (mapped_directly(r) && start < end)
            map_range(arch::direct_map_base + start, Maddr(start), end - start, Access::read_write, gigabyte_pages);
    }
}

void map_section(const char* start, const char* end, Access access) {
    const u64 va = reinterpret_cast<u64>(start);
    if (end > start)
        map_range(va, arch::image_maddr(start), up(static_cast<u64>(end - start), page_size), access, false);
}

void map_image() {
    using namespace arch;
    map_section(__text_start, __text_end, Access::execute);
    map_section(__rodata_start, __rodata_end, Access::read);
    map_section(__data_start, __data_end, Access::read_write);
    map_section(__init_text_start, __init_text_end, Access::execute);
    map_section(__init_rodata_start, __init_rodata_end, Access::read);
    map_section(__init_data_start, __init_data_end, Access::read_write);
}

/// Four chunks share one 2 MiB page of M2P entries.
bool group_in_use(u64 group) { return (frame_chunks[group * 4 / 64] >> (group * 4 % 64)) & 0xf; }

/// Gives every 256 MiB chunk with RAM its piece of the frame table and of the M2P.
void map_frame_tables() {
    u64 top = 0;
    for (const MemoryRange& r : map_)
        if (r.type == e820_ram) top = std::max(top, r.end >> page_shift);
    if (top > max_chunks * frames_per_chunk)
        panic("this machine has memory up to {:#x}; Streak manages 16 TiB", top << page_shift);
    frame_table_frames = up(top, frames_per_chunk);

    for (u64 chunk = 0; chunk < frame_table_frames / frames_per_chunk; ++chunk) {
        const u64 start = (chunk * frames_per_chunk) << page_shift, end = start + (frames_per_chunk << page_shift);
        const bool used =
            start < four_gib ||
            std::ranges::any_of(
                map_, [&](const MemoryRange& r) { return r.type == e820_ram && r.start < end && r.end > start; });
        if (!used) continue;
        frame_chunks[chunk / 64] |= 1ull << (chunk % 64);
        map_range(arch::frame_table_base + chunk * size_2m, take(size_2m, size_2m, ~0ull), size_2m, Access::read_write,
                  false);
    }
    for (u64 group = 0; group * 4 < frame_table_frames / frames_per_chunk; ++group) {
        if (!group_in_use(group)) continue;
        const Maddr memory = take(size_2m, size_2m, ~0ull);
        m2p_pieces[group] = memory;
        map_range(arch::m2p_base + group * size_2m, memory, size_2m, Access::read_write, false);
        map_range(arch::m2p_guest_base + group * size_2m, memory, size_2m, Access::guest_read, false);
    }
}

void fill_frame_tables() {
    for (u64 chunk = 0; chunk < frame_table_frames / frames_per_chunk; ++chunk) {
        if (!((frame_chunks[chunk / 64] >> (chunk % 64)) & 1)) continue;
        const u64 first = chunk * frames_per_chunk;
        std::memset(&page_of_unchecked(Mfn(first)), 0, size_2m);
        for (u64 i = 0; i < frames_per_chunk; ++i) page_of_unchecked(Mfn(first + i)).owner = io_id.raw();
    }
    for (u64 group = 0; group * 4 < frame_table_frames / frames_per_chunk; ++group)
        if (group_in_use(group)) std::memset(&m2p(Mfn(group * 4 * frames_per_chunk)), 0xff, size_2m);
    for (const MemoryRange& r : map_)
        if (r.type == e820_ram)
            for (u64 a = up(std::max(r.start, low_limit), page_size); a + page_size <= r.end; a += page_size)
                page_of_unchecked(to_mfn(Maddr(a))).owner = xen_id.raw();
}

void show_frames(Maddr start, u64 bytes) {
    for (u64 at = 0; at < bytes; at += page_size) share_heap_page(arch::direct_map<u8>(start) + at, xen_id, false);
}

/// The control domain may map these read-only, as DOMID_XEN's: the M2P (tools do so to save a guest) and the record.
void show_frames_to_dom0() {
    for (u64 group = 0; group * 4 < frame_table_frames / frames_per_chunk; ++group)
        if (group_in_use(group)) show_frames(m2p_pieces[group], size_2m);
    if (record) show_frames(arch::direct_map_maddr(record), sizeof *record);
}

} // namespace

std::optional<Maddr> m2p_chunk(Mfn mfn) {
    const u64 group = mfn.raw() / (4 * frames_per_chunk);
    if (mfn.raw() >= frame_table_frames || !group_in_use(group)) return {};
    return m2p_pieces[group];
}

const MemoryMap& machine_map() { return map_; }
PanicRecord* panic_record() { return record; }

bool direct_map_covers(Maddr address, u64 bytes) {
    const u64 start = address.raw(), end = start + bytes;
    if (end <= low_limit) return true;
    return std::ranges::any_of(
        map_, [&](const MemoryRange& r) { return mapped_directly(r) && r.start <= start && end <= r.end; });
}

void reserve_boot_range(Maddr start, u64 bytes) {
    if (bytes != 0 && !reserved.push_back({start.raw(), start.raw() + bytes, e820_ram}))
        panic("more than {} boot modules", reserved.capacity());
}

void init_memory(MemoryMap map) {
    normalise(map);
    map_ = map;
    set_record_aside();
    collect_free_ram();
    start_tables(take_table);
    for (u64 va : {arch::m2p_guest_base, arch::percpu_window_base, arch::mmio_base, arch::m2p_base, arch::image_base,
                   arch::direct_map_base})
        prepare_slot(va);
    map_ram();
    map_image();
    map_frame_tables();
    install_tables();
    fill_frame_tables();
    show_frames_to_dom0();
    // What was set aside for tables and not used stays theirs: it is less than 256 KiB.
    for (const MemoryRange& f : free_ram)
        if (f.start < f.end) add_free_range(to_mfn(Maddr(f.start)), (f.end - f.start) >> page_shift);
    use_heap_for_tables();
    const MemoryTotals totals = memory_totals();
    log_info("memory: {} MiB free of {} MiB", totals.free_frames >> 8, totals.total_frames >> 8);
}

Maddr low_free_page() {
    constexpr u64 top = 0xa0000, bottom = 0x8000; // interrupt vectors and BIOS data stay below
    for (u64 page = top - page_size; page >= bottom; page -= page_size) {
        const u64 end = page + page_size;
        const auto touches = [&](const MemoryRange& r) { return r.start < end && r.end > page; };
        const bool ram = std::ranges::any_of(
            map_, [&](const MemoryRange& r) { return r.type == e820_ram && r.start <= page && end <= r.end; });
        if (ram && std::ranges::none_of(reserved, touches)) return Maddr(page);
    }
    panic("a free page below 640 KiB expected (processors start there), none found");
}

void release_boot_range(Maddr start, u64 bytes) {
    const u64 first = up(start.raw(), page_size), end = down(start.raw() + bytes, page_size);
    if (first < end) add_free_range(to_mfn(Maddr(first)), (end - first) >> page_shift);
}

} // namespace streak::mm
