// SPDX-License-Identifier: GPL-2.0-only
#include "pv/descriptor_tables.hpp"

#include "arch/descriptor.hpp"
#include "domain/context_switch.hpp"
#include "domain/domain.hpp"
#include "mm/guest_walk.hpp"

namespace streak::pv {

namespace {

constexpr u32 pages_of(u32 entries) { return (entries + descriptors_per_page - 1) / descriptors_per_page; }

/// The page of the LDT at `index`, with a reference, as the kernel's tables map it.
mm::PageInfo* get_ldt_page(Vcpu& v, u32 index) {
    const Vaddr at(v.pv.ldt_base + index * page_size);
    LockGuard guard(v.domain->page_lock);
    const u64 entry = mm::guest_l1_entry(v.cr3_kernel, at);
    if (!(entry & mm::pte::present)) return nullptr;
    mm::PageInfo* page = mm::page_of(mm::pte::frame(entry));
    if (!page || !mm::get_page_and_type(*page, v.domain->id, mm::PageType::segment_descriptor)) return nullptr;
    return page;
}

} // namespace

Result<> set_gdt(Vcpu& v, std::span<const u64> frames, u32 entries) {
    const u32 count = pages_of(entries);
    if (entries > max_gdt_entries || frames.size() < count) return fail(Errno::EINVAL);
    std::array<mm::PageInfo*, 16> pages{};
    for (u32 i = 0; i < count; ++i) {
        mm::PageInfo* page = mm::page_of(Mfn(frames[i]));
        if (page && mm::get_page_and_type(*page, v.domain->id, mm::PageType::segment_descriptor)) {
            pages[i] = page;
            continue;
        }
        while (i-- > 0) mm::put_page_and_type(*pages[i]);
        return fail(Errno::EINVAL);
    }
    const std::array<mm::PageInfo*, 16> old = v.pv.gdt_frames;
    const u32 old_count = v.pv.gdt_frame_count;
    v.pv.gdt_frames = pages;
    v.pv.gdt_frame_count = count;
    v.pv.gdt_entries = entries;
    if (&v == &current()) show_gdt(v);
    for (u32 i = 0; i < old_count; ++i) mm::put_page_and_type(*old[i]);
    return {};
}

Result<> set_ldt(Vcpu& v, u64 base, u32 entries) {
    if (base % page_size != 0 || entries > max_ldt_entries || !arch::guest_range_ok(base, entries * sizeof(u64)))
        return fail(Errno::EINVAL);
    if (entries == 0 && v.pv.ldt_entries == 0) return {};
    const std::array<mm::PageInfo*, 16> old = v.pv.ldt_frames;
    v.pv.ldt_base = base;
    v.pv.ldt_entries = entries;
    v.pv.ldt_frames = {};
    for (u32 i = 0; i < pages_of(entries); ++i) v.pv.ldt_frames[i] = get_ldt_page(v, i);
    if (&v == &current()) show_ldt(v);
    for (mm::PageInfo* page : old)
        if (page) mm::put_page_and_type(*page);
    return {};
}

bool in_ldt_window(u64 address, u64& offset) {
    offset = address - arch::ldt_window(arch::cpu_id());
    return offset < arch::ldt_window_pages * page_size;
}

bool fix_ldt_fault(Vcpu& v, u64 fault_address) {
    u64 offset;
    if (!in_ldt_window(fault_address, offset) || offset >= v.pv.ldt_entries * sizeof(u64)) return false;
    const u32 index = static_cast<u32>(offset / page_size);
    if (v.pv.ldt_frames[index]) return false;
    mm::PageInfo* page = get_ldt_page(v, index);
    if (!page) return false;
    v.pv.ldt_frames[index] = page;
    arch::set_ldt_window_frame(index, mm::mfn_of(*page));
    return true;
}

u64 find_descriptor(const Vcpu& v, u16 selector) {
    const u32 index = selector >> 3;
    const bool local = (selector & 4) != 0;
    if (index >= (local ? v.pv.ldt_entries : v.pv.gdt_entries)) return 0;
    const mm::PageInfo* page = (local ? v.pv.ldt_frames : v.pv.gdt_frames)[index / descriptors_per_page];
    return page ? mm::page_memory<const u64>(*page)[index % descriptors_per_page] : 0;
}

} // namespace streak::pv
