// SPDX-License-Identifier: GPL-2.0-only
#include "arch/descriptor.hpp"

#include "arch/cpu.hpp"
#include "arch/cpu_area.hpp"
#include "arch/cr.hpp"
#include "arch/image.hpp"
#include "arch/speculation.hpp"
#include "arch/tlb.hpp"
#include "lib/panic.hpp"
#include "mm/host_page_table.hpp"

namespace streak::arch {

namespace {

struct [[gnu::packed]] TablePointer {
    u16 limit;
    u64 base;
};

/// Intel SDM 3A 6.14.1
struct Gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
};
static_assert(sizeof(Gate) == 16);

alignas(page_size) constinit std::array<Gate, 256> idt{};
constinit CpuTables boot_tables{};
/// Where a guest has no GDT frames its selectors name null descriptors, and #GP comes of using them.
alignas(page_size) constinit const std::array<u8, page_size> empty_page{};

constexpr u64 gdt_window_limit = (first_reserved_gdt_page + 2) * page_size - 1;
constexpr u64 window_entry = 0x63 | 1ull << 63; // present, writable, accessed, dirty, no-execute
constexpr u64 empty_entry = 0x21 | 1ull << 63;

extern "C" const char vector_stubs[];
extern "C" PerCpu boot_percpu;

constexpr unsigned slot_of(u16 sel) { return (sel & 0xfff) / 8; }

void set_gate(unsigned vector, Ist ist, unsigned dpl) {
    const u64 at = reinterpret_cast<u64>(vector_stubs) + vector * 16;
    idt[vector] = {static_cast<u16>(at),
                   selector::hypervisor_cs,
                   static_cast<u8>(ist),
                   static_cast<u8>(0x8e | dpl << 5),
                   static_cast<u16>(at >> 16),
                   static_cast<u32>(at >> 32),
                   0};
}

void fill_idt() {
    for (unsigned vector = 0; vector < idt.size(); ++vector) set_gate(vector, Ist::none, 0);
    set_gate(static_cast<u8>(Trap::debug), Ist::debug, 0);
    set_gate(static_cast<u8>(Trap::nmi), Ist::nmi, 0);
    set_gate(static_cast<u8>(Trap::breakpoint), Ist::none, 3);
    set_gate(static_cast<u8>(Trap::overflow), Ist::none, 3);
    set_gate(static_cast<u8>(Trap::double_fault), Ist::double_fault, 0);
    set_gate(static_cast<u8>(Trap::machine_check), Ist::machine_check, 0);
}

/// A system descriptor of two slots (Intel SDM 3A 7.2.3).
void set_system_descriptor(CpuTables& tables, u16 sel, u64 base, u32 limit, u8 type) {
    tables.gdt[slot_of(sel) + 1] = base >> 32;
    tables.gdt[slot_of(sel)] = (limit & 0xffff) | (base & 0xffffff) << 16 | static_cast<u64>(type | 0x80) << 40 |
                               static_cast<u64>(limit >> 16 & 0xf) << 48 | (base >> 24 & 0xff) << 56;
}

constexpr u8 type_ldt = 2, type_tss = 9;

/// The window's page-table entries, through the direct map.
u64* find_window(CpuId cpu) {
    const u64 va = gdt_window(cpu);
    const u64* table = mm::hypervisor_l4();
    for (unsigned shift : {39u, 30u, 21u}) {
        const u64 entry = table[va >> shift & 511];
        ASSERT(entry & 1);
        table = direct_map<u64>(Maddr(entry & 0x000ffffffffff000));
    }
    return const_cast<u64*>(&table[va >> page_shift & 511]);
}

/// Where a piece of a CpuTables lies in machine memory: image or direct map.
Maddr tables_maddr(const void* pointer) {
    return reinterpret_cast<u64>(pointer) >= direct_map_base ? direct_map_maddr(pointer) : image_maddr(pointer);
}

void show(u64* root, const void* from, u64 bytes, mm::Access access) {
    for (u64 offset = 0; offset < bytes; offset += page_size)
        mm::map_page_in(root, reinterpret_cast<u64>(from) + offset, to_mfn(tables_maddr(from) + offset), access);
}

/// What a processor needs between a guest and the full tables.
u64* make_guest_root(PerCpu& block) {
    u64* const root = mm::make_root();
    mm::share_l1_in(root, gdt_window(block.cpu));
    show(root, __text_start, static_cast<u64>(__entry_text_end - __text_start), mm::Access::execute);
    show(root, idt.data(), sizeof idt, mm::Access::read);
    show(root, block.tables, sizeof *block.tables, mm::Access::read_write);
    show(root, &block, sizeof block, mm::Access::read_write);
    return root;
}

void isolate_guests(PerCpu& block) {
    for (GuestRoot& root : block.guest_roots) root.table = make_guest_root(block);
    for (IstStack& stack : block.tables->ist_stacks) stack.full_cr3 = mm::hypervisor_cr3().raw();
}

void set_window_entry(unsigned page, u64 entry) {
    u64& at = this_cpu().tables->window[page];
    if (at == entry) return;
    __atomic_store_n(&at, entry, __ATOMIC_RELAXED);
    invlpg(gdt_window(cpu_id()) + page * page_size);
    tlb::forget_guest_entries();
}

} // namespace

void init_tables(PerCpu& block) {
    CpuTables& tables = *block.tables;
    tables.gdt[slot_of(selector::hypervisor_cs)] = 0x00af9b000000ffff;
    tables.gdt[slot_of(selector::hypervisor_ds)] = 0x00cf93000000ffff;
    tables.gdt[slot_of(selector::guest_cs32)] = 0x00cffb000000ffff;
    tables.gdt[slot_of(selector::guest_ss)] = 0x00cff3000000ffff;
    tables.gdt[slot_of(selector::guest_cs64)] = 0x00affb000000ffff;
    tables.tss.rsp0 = block.stack_top;
    block.entry_stack = tables.entry_stack.top();
    tables.tss.io_map_base = sizeof(Tss); // beyond the limit: no port is allowed, #GP decides
    for (unsigned i = 0; i < ist_count; ++i) {
        tables.ist_stacks[i].percpu = &block;
        tables.tss.ist[i] = tables.ist_stacks[i].top();
    }
}

void load_descriptor_tables() {
    CpuTables& tables = *this_cpu().tables;
    // A busy TSS can't be loaded again: the descriptor is made anew.
    set_system_descriptor(tables, selector::tss, reinterpret_cast<u64>(&tables.tss), sizeof(Tss) - 1, type_tss);
    const u64 page = reinterpret_cast<u64>(tables.gdt.data());
    // Before there are windows, GDTR points so far below the page that the selectors fit.
    const TablePointer gdtr{tables.window ? static_cast<u16>(gdt_window_limit)
                                          : static_cast<u16>((first_reserved_gdt_page + 1) * page_size - 1),
                            tables.window ? gdt_window(cpu_id()) : page - first_reserved_gdt_page * page_size};
    const TablePointer idtr{sizeof(idt) - 1, reinterpret_cast<u64>(idt.data())};
    asm volatile("lgdt %0\n\t"
                 "lidt %1\n\t"
                 "pushq %2\n\t"
                 "lea 1f(%%rip), %%rax\n\t"
                 "push %%rax\n\t"
                 "lretq\n"
                 "1:\tmov %k3, %%ss\n\t"
                 "ltr %w4"
                 :
                 : "m"(gdtr), "m"(idtr), "i"(selector::hypervisor_cs), "r"(u32(selector::hypervisor_ds)),
                   "r"(u32(selector::tss))
                 : "rax", "memory");
    load_ldt(0);
}

void map_windows(CpuId cpu) {
    CpuTables& tables = *percpu(cpu).tables;
    const u64 base = gdt_window(cpu);
    // The first one makes the page table; all entries are then written alike.
    mm::map_hypervisor_page(base, to_mfn(image_maddr(empty_page.data())), mm::Access::read);
    u64* window = find_window(cpu);
    for (unsigned page = 0; page < gdt_window_pages; ++page)
        window[page] = image_maddr(empty_page.data()).raw() | empty_entry;
    window[first_reserved_gdt_page] = tables_maddr(tables.gdt.data()).raw() | window_entry;
    for (unsigned page = 0; page < ldt_window_pages; ++page) window[gdt_window_pages + page] = 0;
    invlpg(base);
    tables.window = window;
    if (measures.own_entries) isolate_guests(percpu(cpu));
}

void set_gdt_window_frame(unsigned index, Mfn frame) {
    ASSERT(index < first_reserved_gdt_page);
    set_window_entry(index, frame == invalid_mfn ? image_maddr(empty_page.data()).raw() | empty_entry
                                                 : to_maddr(frame).raw() | window_entry);
}

void set_ldt_window_frame(unsigned index, Mfn frame) {
    ASSERT(index < ldt_window_pages);
    set_window_entry(gdt_window_pages + index, frame == invalid_mfn ? 0 : to_maddr(frame).raw() | window_entry);
}

void load_ldt(u32 entries) {
    if (entries == 0) {
        asm volatile("lldt %w0" ::"r"(0));
        return;
    }
    set_system_descriptor(*this_cpu().tables, selector::ldt, ldt_window(cpu_id()), entries * 8 - 1, type_ldt);
    asm volatile("lldt %w0" ::"r"(u32(selector::ldt)) : "memory");
}

void set_current(Vcpu& vcpu, Registers& regs) {
    PerCpu& block = this_cpu();
    block.guest_regs_end = reinterpret_cast<u64>(&regs + 1);
    block.tables->tss.rsp0 = measures.own_entries ? block.entry_stack : block.guest_regs_end;
    block.current = &vcpu;
    // SYSCALL and exits find regs in the Vcpu; nothing may be moved across.
    asm volatile("" ::: "memory");
}

void early_init() {
    boot_percpu.tables = &boot_tables;
    register_percpu(CpuId(0), boot_percpu);
    fill_idt();
    init_tables(boot_percpu);
    load_descriptor_tables();
    detect_cpu_features();
    init_cpu();
}

} // namespace streak::arch
