// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/handlers.hpp"
#include "pv/debug_registers.hpp"

namespace streak::hypercall {

/// Writes a debug register of the calling vCPU. EPERM, EINVAL, ENODEV as write_debug_register.
Return set_debugreg(u32 reg, u64 value) {
    TRY(may(xsm::Hook::set_debugreg, caller()));
    return answer(pv::write_debug_register(current(), reg, value));
}

/// The register's value.
Return get_debugreg(u32 reg) {
    TRY(may(xsm::Hook::set_debugreg, caller()));
    TRY_ASSIGN(value, pv::read_debug_register(current(), reg));
    return static_cast<i64>(value);
}

} // namespace streak::hypercall
