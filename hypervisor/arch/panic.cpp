// SPDX-License-Identifier: GPL-2.0-only

// The machine's part of a panic, and what a CPU was doing as text.

#include "lib/panic.hpp"

#include "arch/cpu_area.hpp"
#include "arch/cr.hpp"
#include "arch/dump.hpp"
#include "arch/layout.hpp"
#include "arch/machine.hpp"
#include "arch/msr.hpp"
#include "arch/smp.hpp"
#include "arch/uart.hpp"
#include "lib/build_info.hpp"
#include "lib/panic_record.hpp"
#include "lib/symbols.hpp"

namespace streak::arch {

namespace {

constexpr u32 nobody = ~0u;
constinit std::atomic<u32> panicking_cpu{nobody};

constexpr unsigned max_frames = 32;

void print_code_address(u64 address) {
    if (const auto symbol = symbols::find(address))
        log_emergency("  {:016x}  {}+{:#x}", address, symbol->name, address - symbol->address);
    else log_emergency("  {:016x}", address);
}

constinit PanicRecord* record = nullptr;

/// The log up to now, for the next boot.
void keep_log() {
    if (!record) return;
    u32 from = 0;
    record->boots = 0;
    record->bytes = read_log(record->text, from, false);
    record->mark = PanicRecord::mark_of_all;
    record->checksum = record->sum();
    asm volatile("wbinvd" ::: "memory");
}

// clang-format off: one line each otherwise
constexpr std::string_view trap_names[] = {
    "divide error", "debug", "NMI", "breakpoint", "overflow", "bound range", "invalid opcode", "no FPU", "double fault",
    "9", "invalid TSS", "segment not present", "stack fault", "general protection", "page fault", "15", "FPU error",
    "alignment check", "machine check", "SIMD error", "virtualisation", "control protection"};
// clang-format on

} // namespace

void log_build_id(LogLevel level) {
    const auto text = build_info::build_id_text();
    log_at(level, "build id {}", std::string_view(text.data(), text.size()));
}

void keep_panics_in(PanicRecord& memory) {
    record = &memory;
    if (record->valid() && ++record->boots == 1)
        log_warning("Streak panicked before this boot: `streak dmesg --previous` shows the log up to then");
}

void dump_backtrace(u64 rip, u64 rbp) {
    log_emergency("backtrace:");
    print_code_address(rip);
    for (unsigned frame = 0; frame < max_frames && rbp % 8 == 0 && is_canonical(rbp) && rbp >= hypervisor_start;
         ++frame) {
        const auto* words = reinterpret_cast<const u64*>(rbp);
        u64 next = 0, return_address = 0;
        if (!read_safe(words, next) || !read_safe(words + 1, return_address) || return_address == 0) return;
        print_code_address(return_address - 1);      // in the call, which may end the function
        if (next <= rbp || next - rbp > stack_bytes) // callers' frames lie above, on the same stack
            return;
        rbp = next;
    }
}

void log_general_registers(LogLevel level, const Registers& r) {
    log_at(level, "rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}", r.rax, r.rbx, r.rcx, r.rdx);
    log_at(level, "rsi {:016x}  rdi {:016x}  rbp {:016x}  r8  {:016x}", r.rsi, r.rdi, r.rbp, r.r8);
    log_at(level, "r9  {:016x}  r10 {:016x}  r11 {:016x}  r12 {:016x}", r.r9, r.r10, r.r11, r.r12);
    log_at(level, "r13 {:016x}  r14 {:016x}  r15 {:016x}", r.r13, r.r14, r.r15);
}

void dump_registers(const Registers& regs) {
    log_emergency("rip {:04x}:{:016x}  rflags {:08x}  rsp {:04x}:{:016x}", regs.cs, regs.rip, regs.rflags, regs.ss,
                  regs.rsp);
    log_general_registers(LogLevel::emergency, regs);
    log_emergency("cr0 {:08x}  cr2 {:016x}  cr3 {:016x}  cr4 {:08x}  gs {:016x}", read_cr0(), read_cr2(), read_cr3(),
                  read_cr4(), read_msr(msr::gs_base));
    if (regs.from_guest()) return;
    const auto* stack = reinterpret_cast<const u64*>(regs.rsp & ~7ull);
    u64 w[4]{};
    for (unsigned row = 0; row < 4; ++row) {
        for (unsigned i = 0; i < 4; ++i)
            if (!read_safe(stack + row * 4 + i, w[i])) return;
        log_emergency("stack+{:02x} {:016x} {:016x} {:016x} {:016x}", row * 32, w[0], w[1], w[2], w[3]);
    }
}

void panic_with_registers(const Registers& regs) {
    hurry_log();
    const bool named = regs.vector < std::size(trap_names);
    log_emergency("panic: unexpected {} (vector {}, error code {:#x}) on CPU {}",
                  named ? trap_names[regs.vector] : std::string_view("interrupt"), regs.vector, regs.error_code,
                  cpu_id());
    if (panicking_cpu.load() == nobody) {
        dump_registers(regs);
        dump_backtrace(regs.rip, regs.rbp);
    }
    panic_message(nullptr, 0, nullptr);
}

} // namespace streak::arch

namespace streak {

void panic_machine() {
    using namespace arch;
    asm volatile("cli");
    const u32 me = cpu_id().raw();
    u32 first = nobody;
    if (!panicking_cpu.compare_exchange_strong(first, me)) {
        // Another CPU is at it, or this one has failed while panicking: nothing more can be trusted.
        if (first == me) machine::halt_cpu();
        for (;;) asm volatile("hlt");
    }
    uart::ensure_output();
    // From the caller on; its frame pointer is what this frame saved.
    dump_backtrace(reinterpret_cast<u64>(__builtin_return_address(0)), *static_cast<u64*>(__builtin_frame_address(0)));
    log_build_id(LogLevel::emergency);
    log_emergency("CPU {} of {}, vCPU {:#x}, stack {:016x}", me, online_cpu_count(),
                  reinterpret_cast<u64>(this_cpu().current), this_cpu().stack_top);
    smp::stop_others(true);
    keep_log();
    machine::reboot();
}

} // namespace streak
