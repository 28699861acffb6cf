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

/// Makes the changes that remove a dead domain's keys, and returns when dom0's drivers have let go of its devices, at most
/// after `limit`. A driver that is about to connect writes to nodes that were removed, which makes them anew: those go, too.
[[nodiscard]] Result<> withdraw(Store& store, Host& host, DomId domain, const Changes& removal, Milliseconds limit);

} // namespace streak::device
