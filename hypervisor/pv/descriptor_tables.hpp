// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <span>

#include "domain/vcpu.hpp"

// A guest's descriptor tables. Its frames are shown to the processor through the CPU's GDT and LDT windows;
// each holds a reference of type segment_descriptor, so that the guest can't write to it.

namespace streak::pv {

/// Most frames and entries of a guest's GDT; the ABI's own selectors lie behind (xen/arch-x86/xen.h).
inline constexpr u32 max_gdt_entries = FIRST_RESERVED_GDT_ENTRY;
inline constexpr u32 max_ldt_entries = 8192;
inline constexpr u32 descriptors_per_page = 512;

/// Makes frames of the vCPU's domain its GDT; `frames` holds as many as `entries` need. EINVAL: one is not
/// the domain's, is in use otherwise or has a forbidden descriptor; the old GDT stays then.
[[nodiscard]] Result<> set_gdt(Vcpu& v, std::span<const u64> frames, u32 entries);

/// Makes the read-only pages at `base` the LDT; 0 entries: none. Pages that are not mapped (yet) are tried
/// again at the first use. EINVAL: bad base or size.
[[nodiscard]] Result<> set_ldt(Vcpu& v, u64 base, u32 entries);

/// A fault in this CPU's LDT window: shows the page, if it is mapped by now.
[[nodiscard]] bool fix_ldt_fault(Vcpu& v, u64 fault_address);

/// Offset of an address in this CPU's LDT window (false: elsewhere).
[[nodiscard]] bool in_ldt_window(u64 address, u64& offset);

/// The descriptor that a selector of the guest names; 0 when there is none.
[[nodiscard]] u64 find_descriptor(const Vcpu& v, u16 selector);

} // namespace streak::pv
