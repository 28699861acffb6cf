// SPDX-License-Identifier: GPL-2.0-only
#include "arch/speculation.hpp"

#include <cstring>

#include "arch/cpu.hpp"
#include "arch/msr.hpp"
#include "lib/log.hpp"

namespace streak::arch {

constinit Measures measures{};

namespace {

using loader::Switch;
using loader::Thunk;

extern "C" {
extern const char common_entry[], ist_from_guest[], exit_by_sysret[], exit_by_iret[];
extern const char xpti_common_entry[], xpti_from_guest[], xpti_exit_by_sysret[], xpti_exit_by_iret[];
extern const char indirect_thunks[];
}

constexpr u64 rdcl_no = 1u << 0, mds_no = 1u << 5; ///< MSR_ARCH_CAPABILITIES
constexpr u64 lfence_serialises = 1u << 1;         ///< MSR_DE_CFG

bool choose(Switch wanted, bool by_default) { return wanted == Switch::by_default ? by_default : wanted == Switch::on; }

u64 msr_or_zero(u32 index) {
    u64 value = 0;
    return read_msr_safe(index, value) ? value : 0;
}

/// Puts a jump over the first five bytes at `from`, past whose start nothing may jump.
void divert(const char* from, const char* to) {
    u8 jump[5] = {0xe9};
    const i32 distance = static_cast<i32>(to - (from + sizeof jump));
    std::memcpy(jump + 1, &distance, sizeof distance);
    patch_text(from, jump, sizeof jump);
}

/// Retpolines, unless something else was asked for. LFENCE makes a jump wait for its target, on AMD where the
/// firmware has told it to.
Thunk choose_thunk(Thunk wanted, bool amd) {
    if (wanted == Thunk::lfence && amd && !(msr_or_zero(msr::de_cfg) & lfence_serialises)) return Thunk::retpoline;
    return wanted == Thunk::by_default ? Thunk::retpoline : wanted;
}

/// The thunks are 16 bytes each, in the order of the numbers that instructions have for registers (4, the stack
/// pointer, is not used).
void set_thunks(Thunk thunk) {
    if (thunk == Thunk::retpoline) return;
    for (u8 number = 0; number < 16; ++number) {
        const u8 code[] = {
            0x0f, 0xae, 0xe8, static_cast<u8>(0x40 | number >> 3), 0xff, static_cast<u8>(0xe0 | (number & 7))};
        const unsigned skip = thunk == Thunk::jump ? 3 : 0;
        patch_text(indirect_thunks + number * 16, code + skip, sizeof code - skip);
    }
}

const char* on_off(bool on) { return on ? "on" : "off"; }

} // namespace

void choose_measures(const loader::Speculation& wanted) {
    const CpuFeatures& f = cpu_features;
    const bool amd = f.vendor == CpuVendor::amd;
    const u64 capabilities = f.arch_capabilities ? msr_or_zero(msr::arch_capabilities) : 0;
    const bool meltdown = !amd && !(capabilities & rdcl_no);
    const bool mds = f.md_clear && !(capabilities & mds_no);

    Measures& m = measures;
    m.xpti_dom0 = choose(wanted.xpti_dom0, meltdown);
    m.xpti_domu = choose(wanted.xpti_domu, meltdown);
    m.pcid = m.xpti() && f.pcid && wanted.pcid == Switch::on;
    m.verw = f.md_clear && choose(wanted.md_clear, mds);
    m.ibpb = f.ibpb && choose(wanted.ibpb, true);
    m.own_entries = m.xpti() || m.verw;
    if (m.own_entries) {
        divert(common_entry, xpti_common_entry);
        divert(ist_from_guest, xpti_from_guest);
        divert(exit_by_sysret, xpti_exit_by_sysret);
        divert(exit_by_iret, xpti_exit_by_iret);
    }
    const Thunk thunk = choose_thunk(wanted.thunk, amd);
    set_thunks(thunk);
    const auto absent = [](bool there) { return there ? "" : " (absent)"; };
    log_info("speculation: XPTI dom0 {}, domU {} ({} Meltdown); PCID {}{}; IBPB {}{}; VERW {}{}; thunk {}",
             on_off(m.xpti_dom0), on_off(m.xpti_domu), meltdown ? "may have" : "hasn't", on_off(m.pcid), absent(f.pcid),
             on_off(m.ibpb), absent(f.ibpb), on_off(m.verw), absent(f.md_clear),
             thunk == Thunk::retpoline ? "retpoline"
             : thunk == Thunk::lfence  ? "lfence"
                                       : "jmp");
}

} // namespace streak::arch
