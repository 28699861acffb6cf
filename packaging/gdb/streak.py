# SPDX-License-Identifier: GPL-2.0-only
"""gdb's half of `make gdb`: `source packaging/gdb/streak.py` (docs/debugging.md). `help streak` lists the commands."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(os.path.expanduser(__file__))))

import gdb  # noqa: E402

from streak_gdb import commands, backtrace, printers  # noqa: E402

gdb.execute("set language c++")  # in assembly and in firmware, too
printers.register()
commands.register()
backtrace.register()
backtrace.Index()
