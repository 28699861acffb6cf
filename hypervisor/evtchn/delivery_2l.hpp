// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/abi.hpp"
#include "lib/ids.hpp"

// Two-level delivery: bitmaps in the shared info page, a selector word in each vCPU's info. The guest may
// write all of it at any time: single bits are changed atomically and nothing read is trusted.
// Ports are below EVTCHN_2L_NR_CHANNELS.

namespace streak::evtchn {

/// What raising a port did.
struct Raised {
    bool newly_pending = false; ///< the port was not pending before: pollers are to be woken
    bool upcall = false;        ///< the notified vCPU is to get an upcall
};

namespace two_level {

/// Marks `port` pending; `info` is that of the port's vCPU, nullptr when it has none yet.
[[nodiscard]] Raised raise(shared_info_t& shared, vcpu_info_t* info, EvtchnPort port);
/// Unmasks; the result tells whether a pending event is to be delivered now.
[[nodiscard]] Raised unmask(shared_info_t& shared, vcpu_info_t* info, EvtchnPort port);
void clear_pending(shared_info_t& shared, EvtchnPort port);
[[nodiscard]] bool is_pending(shared_info_t& shared, EvtchnPort port);
[[nodiscard]] bool is_masked(shared_info_t& shared, EvtchnPort port);

} // namespace two_level

/// Sets the vCPU's upcall flag; true when it was clear, so that the vCPU has to notice.
[[nodiscard]] bool mark_upcall(vcpu_info_t& info);

} // namespace streak::evtchn
