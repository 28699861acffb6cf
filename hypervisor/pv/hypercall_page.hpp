// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"

namespace streak::pv {

/// Fills a page with the 32-byte entries that older kernels call (xen/arch-x86/xen-x86_64.h): entry n makes
/// hypercall n and keeps rcx and r11.
void write_hypercall_page(u8* page);
/// The same with a frame that `owner` may write; false: it may not.
[[nodiscard]] bool fill_hypercall_page(const Domain& owner, Mfn frame);

} // namespace streak::pv
