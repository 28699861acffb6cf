// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/cmdline.hpp"
#include "loader/multiboot2.hpp"

namespace streak::init {

/// Log sinks as the command line wants them.
void start_consoles(const loader::Options& options, const loader::BootInfo& info);

/// Reads the ACPI tables and starts what they describe: local and I/O APICs, clock, power registers; lists the
/// processors. Panics when the machine has no local APIC.
void start_platform(const loader::Options& options, const loader::BootInfo& info);

} // namespace streak::init
