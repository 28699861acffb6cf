// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace streak::pv {

/// What Work::console runs: the console's input. Set once at boot.
void set_console_work(void (*function)());

} // namespace streak::pv
