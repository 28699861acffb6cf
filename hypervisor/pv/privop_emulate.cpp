// SPDX-License-Identifier: GPL-2.0-only
#include "pv/privop_emulate.hpp"

#include "arch/fpu.hpp"
#include "arch/uaccess.hpp"
#include "pv/control_registers.hpp"
#include "pv/debug_registers.hpp"
#include "pv/descriptor_tables.hpp"
#include "pv/guest_cpuid.hpp"
#include "pv/io_ports.hpp"
#include "pv/msr.hpp"
#include "pv/trap_bounce.hpp"

namespace streak::pv {

namespace {

using arch::Registers;

enum class Outcome {
    done,    ///< go on behind the instruction
    refused, ///< it is not for this guest: #GP
    settled, ///< rip is where it should be
};

/// The code segment the guest runs in, as far as fetching needs it.
struct CodeSegment {
    u64 base = 0;
    bool long_mode = true;
};

CodeSegment code_segment(const Vcpu& v) {
    const u16 selector = static_cast<u16>(v.regs.cs);
    if (selector == FLAT_RING3_CS64) return {};
    if (selector == FLAT_RING3_CS32) return {.long_mode = false};
    const u64 d = find_descriptor(v, selector);
    if (d & (1ull << 53)) return {};
    return {.base = ((d >> 16) & 0xffffff) | (d >> 56 << 24), .long_mode = false};
}

/// Decodes what is at rip. An instruction's end may lie on a page that is not there: then it is none of ours.
Decoded decode_at_rip(const Vcpu& v) {
    const CodeSegment code = code_segment(v);
    const u64 at = code.long_mode ? v.regs.rip : (code.base + v.regs.rip) & 0xffffffff;
    std::array<u8, longest_instruction> bytes;
    const u64 in_page = page_size - at % page_size;
    const u64 first = in_page < bytes.size() ? in_page : bytes.size();
    if (!arch::copy_from_guest(bytes.data(), Vaddr(at), first)) return {};
    const Decoded d = decode_privop(std::span(bytes).first(first), code.long_mode);
    if (d.op != PrivOp::truncated) return d;
    if (!arch::copy_from_guest(bytes.data() + first, Vaddr(at + first), bytes.size() - first)) return {};
    return decode_privop(bytes, code.long_mode);
}

/// Stores a result of 1, 2, 4 or 8 bytes as the processor does: 4 bytes clear the upper half.
void store(u64& reg, u64 value, unsigned bytes) {
    switch (bytes) {
    case 1: reg = (reg & ~0xffull) | (value & 0xff); break;
    case 2: reg = (reg & ~0xffffull) | (value & 0xffff); break;
    case 4: reg = value & 0xffffffff; break;
    default: reg = value; break;
    }
}

void store_pair(Registers& r, u64 value) {
    r.rax = value & 0xffffffff;
    r.rdx = value >> 32;
}

u64 pair(const Registers& r) { return (r.rax & 0xffffffff) | r.rdx << 32; }

/// Goes behind an instruction; a single-stepping guest gets its #DB there.
void advance(Vcpu& v, unsigned length) {
    v.regs.rip += length;
    v.regs.rflags &= ~arch::rflags::rf;
    if (v.regs.rflags & arch::rflags::tf) [[unlikely]] {
        v.pv.dr[6] |= dr6_single_step;
        inject(v, arch::Trap::debug);
    }
}

Outcome do_port(Vcpu& v, const Decoded& d) {
    Registers& r = v.regs;
    const u16 port = d.port_in_dx ? static_cast<u16>(r.rdx) : d.immediate;
    if (!port_permitted(v, port, d.operand_bytes)) return Outcome::refused;
    if (d.op == PrivOp::in) store(r.rax, read_port(*v.domain, port, d.operand_bytes), d.operand_bytes);
    else write_port(*v.domain, port, d.operand_bytes, static_cast<u32>(r.rax));
    return Outcome::done;
}

Outcome do_string(Vcpu& v, const Decoded& d) {
    if (!port_permitted(v, static_cast<u16>(v.regs.rdx), d.operand_bytes)) return Outcome::refused;
    return run_string_operation(v, d) == StringResult::done ? Outcome::done : Outcome::settled;
}

Outcome do_control(Vcpu& v, const Decoded& d) {
    u64& reg = general_register(v.regs, d.gpr);
    if (d.op == PrivOp::read_cr) return read_control_register(v, d.special, reg) ? Outcome::done : Outcome::refused;
    switch (write_control_register(v, d.special, reg)) {
    case CrWrite::done: return Outcome::done;
    case CrWrite::again: return Outcome::settled;
    default: return Outcome::refused;
    }
}

Outcome do_status_word(Vcpu& v, const Decoded& d) {
    u64& reg = general_register(v.regs, d.gpr);
    if (d.op == PrivOp::lmsw) {
        set_task_switched(v, (reg & arch::cr0::ts) != 0);
        return Outcome::done;
    }
    u64 cr0 = 0;
    if (!read_control_register(v, 0, cr0)) return Outcome::refused;
    store(reg, cr0, d.operand_bytes);
    return Outcome::done;
}

Outcome do_debug(Vcpu& v, const Decoded& d) {
    u64& reg = general_register(v.regs, d.gpr);
    if (d.op == PrivOp::write_dr) return write_debug_register(v, d.special, reg) ? Outcome::done : Outcome::refused;
    const Result<u64> value = read_debug_register(v, d.special);
    if (!value) return Outcome::refused;
    reg = *value;
    return Outcome::done;
}

Outcome do_msr(Vcpu& v, const Decoded& d) {
    const u32 index = static_cast<u32>(v.regs.rcx);
    if (d.op == PrivOp::write_msr) return write_guest_msr(v, index, pair(v.regs)) ? Outcome::done : Outcome::refused;
    u64 value = 0;
    if (!read_guest_msr(v, index, value)) {
        // A kernel that has no handler yet shall live (xen/arch-x86/xen.h, note on set_trap_table).
        if (v.pv.traps[static_cast<unsigned>(arch::Trap::general_protection)].address != 0) return Outcome::refused;
        value = 0;
    }
    store_pair(v.regs, value);
    return Outcome::done;
}

/// RDTSC and RDTSCP trap when the guest's kernel or its tool stack asked for it: only the former hides time
/// from users.
Outcome do_tsc(Vcpu& v, const Decoded& d) {
    if (!v.in_kernel && (v.pv.cr4 & arch::cr4::tsd)) return Outcome::refused;
    store_pair(v.regs, arch::rdtsc());
    if (d.op == PrivOp::read_tscp) v.regs.rcx = v.pv.tsc_aux;
    return Outcome::done;
}

Outcome do_set_xcr(Vcpu& v) {
    const u64 value = pair(v.regs);
    if (static_cast<u32>(v.regs.rcx) != 0 || !arch::cpu_features.xsave || !arch::xcr0_valid(value))
        return Outcome::refused;
    v.pv.xcr0 = value;
    arch::set_guest_xcr0(value);
    return Outcome::done;
}

Outcome do_cpuid(Vcpu& v) {
    Registers& r = v.regs;
    const arch::CpuidLeaf out = guest_cpuid(v, static_cast<u32>(r.rax), static_cast<u32>(r.rcx));
    r.rax = out.eax;
    r.rbx = out.ebx;
    r.rcx = out.ecx;
    r.rdx = out.edx;
    return Outcome::done;
}

/// What only the kernel may do.
Outcome do_kernel(Vcpu& v, const Decoded& d) {
    switch (d.op) {
    case PrivOp::clts: set_task_switched(v, false); return Outcome::done;
    case PrivOp::lmsw:
    case PrivOp::smsw: return do_status_word(v, d);
    case PrivOp::read_cr:
    case PrivOp::write_cr: return do_control(v, d);
    case PrivOp::read_dr:
    case PrivOp::write_dr: return do_debug(v, d);
    case PrivOp::read_msr:
    case PrivOp::write_msr: return do_msr(v, d);
    case PrivOp::set_xcr: return do_set_xcr(v);
    case PrivOp::invalidate_caches:
        if (v.domain->privileged) // only who drives devices has uncached mappings
            arch::write_back_caches();
        return Outcome::done;
    default: return Outcome::refused;
    }
}

Outcome carry_out(Vcpu& v, const Decoded& d) {
    switch (d.op) {
    case PrivOp::in:
    case PrivOp::out: return do_port(v, d);
    case PrivOp::ins:
    case PrivOp::outs: return do_string(v, d);
    // CLI and STI have no effect: POPF could not be caught, so a mask set here might never be cleared.
    case PrivOp::cli:
    case PrivOp::sti: return iopl_permits(v) ? Outcome::done : Outcome::refused;
    case PrivOp::read_tsc:
    case PrivOp::read_tscp: return do_tsc(v, d);
    case PrivOp::cpuid: return do_cpuid(v);
    default: return v.in_kernel ? do_kernel(v, d) : Outcome::refused;
    }
}

} // namespace

bool emulate_privileged(Vcpu& v) {
    const Decoded d = decode_at_rip(v);
    switch (carry_out(v, d)) {
    case Outcome::done: advance(v, d.length); return true;
    case Outcome::settled: return true;
    default: return false;
    }
}

bool emulate_forced(Vcpu& v) {
    constexpr std::array<u8, 7> forced_cpuid{0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2};
    std::array<u8, forced_cpuid.size()> bytes;
    if (!arch::copy_from_guest(bytes.data(), Vaddr(v.regs.rip), bytes.size()) || bytes != forced_cpuid) return false;
    (void)do_cpuid(v);
    advance(v, forced_cpuid.size());
    return true;
}

SoftwareInterrupt decode_software_interrupt(const Vcpu& v) {
    const Decoded d = decode_at_rip(v);
    return d.op == PrivOp::software_interrupt ? SoftwareInterrupt{d.immediate, d.length} : SoftwareInterrupt{};
}

} // namespace streak::pv
