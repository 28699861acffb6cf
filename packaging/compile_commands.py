#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Prints compile_commands.json. usage: compile_commands.py { --flags "COMPILER FLAGS" SOURCE... }..."""
import json
import os
import shlex
import sys

# Clang can't parse the standard library's headers without floating point, and spells thunks otherwise; the tools only parse.
NOT_CLANG = {"-mgeneral-regs-only", "-Werror", "-mindirect-branch=thunk-extern", "-mindirect-branch-register", "ccache"}

entries = []
arguments = iter(sys.argv[1:])
command = []
for word in arguments:
    if word == "--flags":
        command = [flag.replace("c++23", "c++2b") for flag in shlex.split(next(arguments)) if flag not in NOT_CLANG]
    else:
        entries.append({"directory": os.getcwd(), "file": word, "arguments": command + ["-c", word]})
json.dump(sorted(entries, key=lambda entry: entry["file"]), sys.stdout, indent=1)
print()
