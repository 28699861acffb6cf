// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"
#include "loader/cmdline.hpp"

// Measures against processors that let a guest see or steer what the hypervisor does speculatively
// (docs/decisions/0007-speculation.md).

namespace streak::arch {

/// What is in force; chosen once, at boot.
struct Measures {
    bool own_entries;          ///< guests come and go by xpti.S
    bool xpti_dom0, xpti_domu; ///< they run on PerCpu::guest_roots
    bool pcid;                 ///< its translations are kept apart from the hypervisor's
    bool verw;                 ///< processor buffers are emptied before a guest runs
    bool ibpb;                 ///< a domain doesn't run on another one's branch predictions

    [[nodiscard]] bool xpti() const { return xpti_dom0 || xpti_domu; }
};
extern Measures measures;

/// The PCID of the first of PerCpu::guest_roots; the hypervisor has 0.
inline constexpr u64 first_guest_pcid = 1;

/// Chooses by CPU features and the command line, patches the code, and tells. Once, on the boot processor, before
/// others start and before memory management maps what guests need; init_cpu() has to follow.
void choose_measures(const loader::Speculation& wanted);

} // namespace streak::arch
