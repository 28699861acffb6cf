// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// The parts of event_channel_op that have files of their own.

namespace streak::hypercall {

[[nodiscard]] Result<> fifo_init_control(evtchn_init_control_t& op);       ///< EVTCHNOP_init_control
[[nodiscard]] Result<> fifo_expand_array(const evtchn_expand_array_t& op); ///< EVTCHNOP_expand_array

} // namespace streak::hypercall
