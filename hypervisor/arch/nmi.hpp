// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/types.hpp"

namespace streak::nmi {

/// What a hardware NMI does (`nmi=`): nothing but a line in the log, an NMI for dom0's first vCPU, or a panic.
enum class Policy : u8 { ignore, dom0, fatal };
void set_policy(Policy policy);

/// Why dom0 gets one: XEN_NMIREASON_* (xen/nmi.h) of all NMIs since the last call. Work::nmi says that there were.
[[nodiscard]] u64 take_reasons();

} // namespace streak::nmi
