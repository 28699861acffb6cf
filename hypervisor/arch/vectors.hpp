// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"

// How the interrupt vectors are used. 0x80 and 0x82 are gates that guests reach by INT.

namespace streak::arch {

inline constexpr unsigned first_device_vector = 0x28, last_device_vector = 0xef;
inline constexpr unsigned legacy_syscall_vector = 0x80, hypercall_vector = 0x82;

inline constexpr Vector flush_vector{0xf0};        ///< serve the shoot-down mailbox
inline constexpr Vector work_vector{0xf1};         ///< look at PerCpu::work
inline constexpr Vector pic_spurious_vector{0x20}; ///< base of the 8259s: 0x20-0x27 are only ever stray
inline constexpr Vector error_vector{0xfd};
inline constexpr Vector timer_vector{0xfe};
inline constexpr Vector spurious_vector{0xff};

} // namespace streak::arch
