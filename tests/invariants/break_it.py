# SPDX-License-Identifier: GPL-2.0-only
"""Runs in gdb (run.py): changes one word after the other at the beginning of a check and sees whether the check ends in a panic.

A panic goes no further than its first function: the word is put back, and the processor to where the check began.
"""
import json
import os

import gdb

REGISTERS = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "eflags", "rip"]


STACK_BYTES = 512  # of the callers', which the rest of the check overwrites


def save():
    registers = {name: int(gdb.parse_and_eval(f"${name}")) & (1 << 64) - 1 for name in REGISTERS}
    return registers, bytes(gdb.selected_inferior().read_memory(registers["rsp"], STACK_BYTES))


def restore(saved):
    registers, stack = saved
    for name, value in registers.items():
        gdb.execute(f"set ${name} = {value:#x}")
    gdb.selected_inferior().write_memory(registers["rsp"], stack)
    gdb.execute("continue")  # to the breakpoint that is there: gdb has not seen this stop


def try_case(setup, word, value):
    saved = save()
    for command in setup:
        gdb.execute(command)
    gdb.execute(f"set $old = {word}")
    gdb.execute(f"set {word} = {value}")
    gdb.execute("continue")
    found = "panic" in gdb.newest_frame().name()
    gdb.execute(f"set {word} = $old")
    if found:
        restore(saved)
    return found


with open(os.environ["CASES"], encoding="utf-8") as file:
    cases = json.load(file)
gdb.execute("break streak::invariants::clear_expected")
gdb.execute("break streak::panic_message")
gdb.execute("continue")
found = {}
for name, (setup, word, value) in cases.items():
    found[name] = try_case(setup, word, value)
    print(f"{name}: {found[name]}", flush=True)
# Nothing is broken any more: two more checks come and go.
for _ in range(2):
    gdb.execute("continue")
found["whole again"] = "clear_expected" in gdb.newest_frame().name()
with open(os.environ["FOUND"], "w", encoding="utf-8") as file:
    json.dump(found, file)
