// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/modules/fuzz/world.hpp"

namespace fuzz {

/// What a field of a structure, or a register, means. Values are almost right most of the time.
enum class Kind : u8 {
    fixed,          ///< the parameter
    small,          ///< below the parameter
    flags,          ///< some bits of the parameter
    bits,           ///< anything
    toy,            ///< machine frame of a page that may be lost or changed
    frame,          ///< machine frame: own, of tables, of others, of devices, none
    pfn_missing,    ///< guest frame number of a page that was given away
    entry_address,  ///< machine address of a page-table entry, with the command of mmu_update
    grant_pte,      ///< address at which a grant is to be mapped: virtual, or of the entry
    pte,            ///< page-table entry
    va,             ///< virtual address of a toy or in the window
    address,        ///< virtual address, mostly bad
    toys_in,        ///< handle: list of toys
    missing_in,     ///< handle: list of numbers of missing pages
    frames_in,      ///< handle: list of frames
    ports_in,       ///< handle: list of ports
    out,            ///< handle: room for an answer
    bitmap,         ///< handle: of vCPUs
    port,           ///< own
    unbound_here,   ///< own, waiting
    peer_port,      ///< of the domain that `peer` chose last
    dom,            ///< domain
    own_dom,        ///< mostly DOMID_SELF
    peer,           ///< a domain that offers ports and grants
    vcpu,           ///< any
    spare_vcpu,     ///< one that this kernel does not need
    ref,            ///< grant reference of the domain that `peer` or `own_dom` chose last
    own_ref,        ///< of the own table
    handle,         ///< of a mapping; sets what handle_address and handle_device tell
    handle_address, ///< virtual address of that mapping
    handle_device,  ///< bus address, or 0
    root,           ///< machine frame of a root that this kernel can run on, or that is refused
    soon,           ///< system time
    entry_point,    ///< code address for a callback: of events, for failures, of system calls
    gates,          ///< handle: list of trap gates
};

/// A value of that kind.
u64 choose(Player& player, Kind kind, u64 parameter);
/// A handle that can't be used, or an odd one.
u64 bad_pointer(Player& player);

} // namespace fuzz
