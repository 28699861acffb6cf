// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/abi.hpp"
#include "lib/ids.hpp"
#include "lib/types.hpp"

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

/// Sets one bit; true when it was clear. (The builtin, unlike atomic_ref, becomes one LOCK BTS.)
[[nodiscard]] inline bool set_bit(xen_ulong_t& word, u32 index) {
    const xen_ulong_t mask = xen_ulong_t{1} << index;
    return (__atomic_fetch_or(&word, mask, __ATOMIC_SEQ_CST) & mask) == 0;
}

/// Selects the port's word for its vCPU; true when it was not selected.
[[nodiscard]] inline bool select(vcpu_info_t* info, u32 port) {
    return info && set_bit(info->evtchn_pending_sel, port / 64);
}

/// Marks `port` pending; `info` is that of the port's vCPU, nullptr when it has none yet.
[[nodiscard]] inline Raised raise(shared_info_t& shared, vcpu_info_t* info, EvtchnPort port) {
    const u32 word = port.raw() / 64, bit = port.raw() % 64;
    if (!set_bit(shared.evtchn_pending[word], bit)) return {};
    const bool masked = (__atomic_load_n(&shared.evtchn_mask[word], __ATOMIC_SEQ_CST) >> bit) & 1;
    return {.newly_pending = true, .upcall = !masked && select(info, port.raw())};
}

/// Unmasks; the result tells whether a pending event is to be delivered now.
[[nodiscard]] Raised unmask(shared_info_t& shared, vcpu_info_t* info, EvtchnPort port);
void clear_pending(shared_info_t& shared, EvtchnPort port);
[[nodiscard]] bool is_pending(shared_info_t& shared, EvtchnPort port);
[[nodiscard]] bool is_masked(shared_info_t& shared, EvtchnPort port);

} // namespace two_level

/// Sets the vCPU's upcall flag; true when it was clear, so that the vCPU has to notice.
[[nodiscard]] inline bool mark_upcall(vcpu_info_t& info) {
    return __atomic_exchange_n(&info.evtchn_upcall_pending, u8{1}, __ATOMIC_SEQ_CST) == 0;
}

} // namespace streak::evtchn
