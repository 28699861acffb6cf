// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "mm/page.hpp"

// References by type (docs/page-types.md). Whoever uses a frame as something holds one general and one type
// reference. Writable and segment-descriptor references come and go on any CPU without a lock, by
// compare-and-exchange; page-table types only change under the owner's Domain::page_lock
// (mm/pt_validator.hpp). While a change of type waits for stale TLB entries to go, the word carries
// `busy`, and everybody else waits.

namespace streak {
struct Domain;
}

namespace streak::mm {

namespace type_bits {
inline constexpr u64 busy = 1ull << 56;          ///< the change to this type is not complete yet
inline constexpr u64 linear_source = 1ull << 55; ///< this L4 has mapped another L4 as a linear page table
inline constexpr u64 linear_target = 1ull << 54; ///< another L4 has mapped this one so
[[nodiscard]] constexpr u64 count(u64 word) { return word & count_mask; }
[[nodiscard]] constexpr bool is_table(u64 word) { return type(word) >= PageType::l1 && type(word) <= PageType::l4; }
} // namespace type_bits

/// A general and a type reference to a frame of `owner`, type `writable` or `segment_descriptor` only.
/// Lock-free; may flush TLBs. EINVAL: not the owner's, or in use as something else, or (descriptors) the
/// contents break the rules.
[[nodiscard]] Result<> get_page_and_type(PageInfo& page, DomId owner, PageType type);
void put_page_and_type(PageInfo& page);

/// Drops the guest's pin of one of its page tables, if there is one, so that the frame can be given back. The
/// caller holds a general reference. ERESTART: call again (after preempt_pending()). Takes the page lock.
[[nodiscard]] Result<> unpin_if_pinned(Domain& domain, PageInfo& page);

/// Pins an L4 table of `domain` and all below it (dom0 builder, domctl). Takes the page lock; runs to the end
/// without preemption. EINVAL.
[[nodiscard]] Result<> pin_l4(Domain& domain, Mfn l4);

/// Ends all uses the domain makes of its frames and gives up its allocation references: base pointers, pins,
/// then every frame. The vCPUs are stopped and `dying` is set. ERESTART: call again. Frames that others
/// still map stay on the account until those let go.
[[nodiscard]] Result<> relinquish_memory(Domain& domain);

} // namespace streak::mm
