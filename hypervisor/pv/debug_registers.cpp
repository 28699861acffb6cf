// SPDX-License-Identifier: GPL-2.0-only
#include "pv/debug_registers.hpp"

#include "arch/cr.hpp"
#include "domain/context_switch.hpp"

namespace streak::pv {

namespace {

constexpr u64 dr6_fixed_zero = 1u << 12;
constexpr u64 dr7_general_detect = 1u << 13;
constexpr u64 dr7_reserved_zero = 0xd800 | dr7_general_detect;
constexpr u64 dr7_enables = 0xff;
constexpr unsigned io_access = 2;

/// DR4 and DR5 are DR6 and DR7, unless CR4.DE takes them away.
Result<unsigned> resolve(const Vcpu& v, unsigned reg) {
    if (reg > 7) return fail(Errno::EINVAL);
    if (reg != 4 && reg != 5) return reg;
    if (v.pv.cr4 & arch::cr4::de) return fail(Errno::ENODEV);
    return reg + 2;
}

Result<> check_control(u64 value) {
    if ((value >> 32) != 0 || (value & dr7_general_detect)) return fail(Errno::EPERM);
    for (unsigned i = 0; i < 4; ++i) {
        const bool enabled = (value >> (2 * i)) & 3;
        if (enabled && ((value >> (16 + 4 * i)) & 3) == io_access) return fail(Errno::EPERM);
    }
    return {};
}

/// The processor only holds the addresses while a breakpoint is on (domain/context_switch.cpp).
void load_hardware(const PvState& pv) {
    if ((pv.dr[7] & dr7_enables) != 0) load_debug_registers(pv);
    else arch::write_dr7(dr7_default);
}

} // namespace

Result<> write_debug_register(Vcpu& v, unsigned reg, u64 value) {
    TRY_ASSIGN(which, resolve(v, reg));
    if (which < 4) {
        // No breakpoint may hit the hypervisor, not even with its last byte.
        if (!arch::guest_range_ok(value, sizeof(u64))) return fail(Errno::EPERM);
    } else if (which == 6) {
        if ((value >> 32) != 0) return fail(Errno::EPERM);
        value = (value & ~dr6_fixed_zero) | dr6_default;
    } else {
        TRY(check_control(value));
        value = (value & ~dr7_reserved_zero) | dr7_default;
    }
    v.pv.dr[which] = value;
    if (&v == &current()) load_hardware(v.pv);
    return {};
}

Result<u64> read_debug_register(const Vcpu& v, unsigned reg) {
    TRY_ASSIGN(which, resolve(v, reg));
    if (which == 6) return v.pv.dr[6] | dr6_default;
    if (which == 7) return v.pv.dr[7] | dr7_default;
    return v.pv.dr[which];
}

void note_debug_status(Vcpu& v, u64 dr6) {
    const u64 had = v.pv.dr[6] | dr6_default;
    v.pv.dr[6] = (had | (dr6 & ~dr6_default)) & (dr6 | ~dr6_default);
}

} // namespace streak::pv
