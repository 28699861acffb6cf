# SPDX-License-Identifier: GPL-2.0-only
"""What gdb knows of Streak: printers of its types, commands, backtraces from the hypervisor into its guests."""
