// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "lib/types.hpp"

// The hypervisor's own mappings: the sixteen L4 slots every address space shares. The L3 tables of all
// slots in use exist before the first guest runs, so a guest's L4 never has to be updated.

namespace streak::mm {

/// What a hypervisor mapping allows. All are global; only the M2P is visible to guests.
enum class Access : u8 { none, read, read_write, execute, guest_read, device, write_combining };

/// Maps one page in the hypervisor's slots (`Access::none`: unmaps). The caller flushes stale entries of
/// other CPUs; this CPU's entry is invalidated.
void map_hypervisor_page(u64 va, Mfn mfn, Access access);

/// Another top table, empty, for page-table isolation (arch/speculation.hpp); one page in it, or the L1 table that
/// has the hypervisor's own entry for `va`.
[[nodiscard]] u64* make_root();
void map_page_in(u64* root, u64 va, Mfn mfn, Access access);
void share_l1_in(u64* root, u64 va);

/// Device memory, uncached, for good; the pointer keeps the offset in the page.
[[nodiscard]] void* map_mmio(Maddr address, u64 bytes, Access access = Access::device);

/// Firmware tables: through the direct map when it covers them, else mapped read-only.
[[nodiscard]] const void* map_firmware(Maddr address, u64 bytes);

/// Ends the mapping of low memory at its own address, once every CPU has been started.
void drop_low_mappings();

/// Panics when a mapping of the hypervisor is writable and executable.
void check_write_xor_execute();

/// The top table of the idle address space: its entries 256..271 go into every L4.
[[nodiscard]] u64* hypervisor_l4();
[[nodiscard]] Maddr hypervisor_cr3();

} // namespace streak::mm
