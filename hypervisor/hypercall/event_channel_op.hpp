// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// The parts of event_channel_op that have files of their own.

namespace streak::hypercall {

[[nodiscard]] Return fifo_init_control(RawHandle arg); ///< EVTCHNOP_init_control
[[nodiscard]] Return fifo_expand_array(RawHandle arg); ///< EVTCHNOP_expand_array

} // namespace streak::hypercall
