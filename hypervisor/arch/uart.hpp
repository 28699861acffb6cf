// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/ids.hpp"
#include "lib/types.hpp"
#include "loader/cmdline.hpp"

// The console's serial port: a 16550, output polled, input by interrupt or poll into a ring of its own.

namespace streak::uart {

/// Programs the port and makes it a log sink. `number`: 1 or 2 for COM1, COM2. False when no 16550 answers.
bool init(const loader::SerialOptions& options, unsigned number);

/// In use? Its ports and line belong to the hypervisor then: 8 ports from io_base().
[[nodiscard]] bool present();
[[nodiscard]] u16 io_base();
[[nodiscard]] u8 isa_irq(); ///< 0: polled

/// Input goes to the ring by interrupt from now on: call handle_interrupt() when isa_irq() fires.
void enable_receive_interrupt();
/// Takes what the port has received into the ring. True when there is something to read.
bool handle_interrupt();

/// The oldest character received and not read yet.
[[nodiscard]] std::optional<u8> receive();

/// Waits until everything written has left the port (at most some 10 ms): before power-off and reset.
void finish_output();

/// For a panic before init(): COM1 as it is.
void ensure_output();

} // namespace streak::uart
