// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/errno.hpp"
#include "lib/ids.hpp"
#include "lib/types.hpp"

// Grant mappings in a guest's L1 tables. An entry that maps a granted frame owns references as any other entry
// does: one general one, and a writable one when it may write. Mapping hands the caller's references to the
// entry; unmapping hands them back. An entry that the guest overwrote or tore down by other means has dropped
// them by itself, and unmapping fails with ENOENT: there is nothing left to drop.

namespace streak {
struct Vcpu;
}

namespace streak::mm {

/// Where the entry is: the machine address of the entry itself (GNTMAP_contains_pte), or the guest virtual
/// address it translates in the current kernel address space.
struct GrantPteAt {
    u64 address = 0;
    bool is_pte_address = false;
};

struct GrantMapping {
    Mfn frame{};
    bool writable = false;
    u64 extra_bits = 0; ///< AVAIL bits (GNTMAP_guest_avail*), cache attributes
};

/// Writes the entry. What it mapped before is let go. On success the caller's references (get_page or
/// get_page_and_type) belong to the entry. EINVAL: no such entry in an L1 table of the caller.
[[nodiscard]] Result<> map_grant_pte(Vcpu& mapper, GrantPteAt at, const GrantMapping& mapping);

/// Clears the entry. On success its references are the caller's, who drops them after the TLB flush it
/// owes (domain.dirty_cpus): put_page_and_type() when the value is true (the entry was writable), put_page()
/// when it is false; nothing for a device frame. (The guest may have given up the right to write meanwhile, so
/// only this value counts.) ENOENT: the entry maps something else; EINVAL: no such entry.
[[nodiscard]] Result<bool> unmap_grant_pte(Vcpu& mapper, GrantPteAt at, Mfn frame);

/// GNTTABOP_unmap_and_replace: the entry of `new_va` moves to where `at` is, leaving zero behind; otherwise
/// as unmap_grant_pte.
[[nodiscard]] Result<bool> replace_grant_pte(Vcpu& mapper, GrantPteAt at, u64 new_va, Mfn frame);

} // namespace streak::mm
