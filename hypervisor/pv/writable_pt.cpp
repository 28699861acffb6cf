// SPDX-License-Identifier: GPL-2.0-only
#include "pv/writable_pt.hpp"

#include "arch/uaccess.hpp"
#include "domain/locked_tables.hpp"
#include "mm/guest_walk.hpp"
#include "pv/ptwr_decode.hpp"

namespace streak::pv {

namespace {

/// The L1 table that `va` maps read-only, if it is one. The page lock is held.
mm::PageInfo* written_table(const Vcpu& vcpu, u64 va) {
    const u64 entry = mm::guest_l1_entry(vcpu.cr3_kernel, Vaddr(va));
    if ((entry & (mm::pte::present | mm::pte::writable)) != mm::pte::present) return nullptr;
    mm::PageInfo* page = mm::HostEnv::page(mm::pte::frame(entry));
    if (!page || page->owner_id() != vcpu.domain->id) return nullptr;
    const u64 word = page->type.load(std::memory_order_relaxed);
    const bool l1 = mm::type_bits::type(word) == mm::PageType::l1 && (word & mm::type_bits::validated);
    return l1 ? page : nullptr;
}

std::optional<PtwrInstruction> fetch(const Vcpu& vcpu) {
    std::array<u8, 15> code;
    const u64 rip = vcpu.regs.rip;
    // Bytes behind the end of a page count only when the instruction needs them.
    const u64 in_page = std::min<u64>(code.size(), page_size - rip % page_size);
    if (!arch::copy_from_guest(code.data(), Vaddr(rip), in_page)) return {};
    if (auto found = decode_ptwr(std::span(code).first(in_page)); found || in_page == code.size()) return found;
    if (!arch::copy_from_guest(code.data() + in_page, Vaddr(rip + in_page), code.size() - in_page)) return {};
    return decode_ptwr(code);
}

/// Carries the instruction out on the entry. EAGAIN: the processor changed the entry meanwhile.
Result<> carry_out(Vcpu& vcpu, LockedTables& tables, mm::PageInfo& table, const PtwrInstruction& instruction, u64 va,
                   u64 source) {
    u64& slot = mm::HostEnv::entries(table)[va % page_size / sizeof(u64)];
    const u64 now = __atomic_load_n(&slot, __ATOMIC_RELAXED);
    const unsigned shift = static_cast<unsigned>(va % sizeof(u64)) * 8;
    const u64 mask = instruction.bytes == 8 ? ~0ull : (1ull << (8 * instruction.bytes)) - 1;
    const PtwrEffect effect = apply_ptwr(instruction, vcpu.regs, now >> shift & mask, source);
    if (effect.write) {
        const u64 wanted = (now & ~(mask << shift)) | effect.value << shift;
        TRY(tables->change_l1(slot, wanted, vcpu.domain->id, [now](u64& entry, u64, u64 value) {
            u64 expected = now;
            return __atomic_compare_exchange_n(&entry, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        }));
    }
    vcpu.regs = effect.regs;
    return {};
}

} // namespace

bool emulate_page_table_write(Vcpu& vcpu, u64 fault_va) {
    if (!(vcpu.domain->vm_assist & (1ull << VMASST_TYPE_writable_pagetables)) || !vcpu.in_kernel) return false;
    LockedTables tables(*vcpu.domain);
    mm::PageInfo* table = written_table(vcpu, fault_va);
    if (!table) return false;
    const auto instruction = fetch(vcpu);
    if (!instruction || fault_va % instruction->bytes != 0) return false;
    u64 source = 0;
    if (instruction->kind == PtwrKind::movs &&
        !arch::copy_from_guest(&source, Vaddr(vcpu.regs.rsi), instruction->bytes))
        return false;
    const Result<> done = carry_out(vcpu, tables, *table, *instruction, fault_va, source);
    return done || done.error() == Errno::EAGAIN;
}

} // namespace streak::pv
