// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"

namespace streak::pv {

/// VMASST_TYPE_writable_pagetables: a write of the guest's kernel to an L1 table it has mapped read-only (page
/// fault with error code present|write) is carried out as a page-table update. True: done, or to be tried
/// again: the guest goes on at regs.rip. False: none of that, the fault is the guest's.
[[nodiscard]] bool emulate_page_table_write(Vcpu& vcpu, u64 fault_va);

} // namespace streak::pv
