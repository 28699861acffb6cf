// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "device/access.hpp"
#include "device/handshake.hpp"

namespace streak::device {

/// The states of both ends, as the store has them.
[[nodiscard]] Result<Ends> read_ends(Store& store, const Address& at);

/// Waits until both ends are connected. `timeout`, `unavailable`: who did not answer.
[[nodiscard]] base::Outcome<> wait_connected(Store& store, const Address& at, Milliseconds limit);

/// Asks the guest to close the device and waits until it did.
[[nodiscard]] base::Outcome<> close_politely(Store& store, const Address& at, Milliseconds limit);

/// Waits until dom0's drivers have looked at all devices of a domain, at most for `limit`: until then they write to
/// nodes that were removed, which makes them anew.
void wait_probed(Store& store, DomId domain, Milliseconds limit);

} // namespace streak::device
