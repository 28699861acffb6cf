#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boots in Bochs with its debugger on the terminal; it knows the names of Streak's functions and those of the guest.

`xchg %bx, %bx` stops at the prompt. Files of Bochs commands, made for this image, stand in build/bochs/macros.
"""
import argparse
import os
import subprocess
import sys

import emulator
from machine import log_directory

# Leaves the function that has just been entered: nothing of it is done. (A word of the stack is read as 32 bits.)
LEAVE = "set rip = 0xffff82d000000000 + *rsp\nset rsp = rsp + 8"
# name: (what it is for, commands). {NAME} stands for the address of a function.
MACROS = {
    "panic": ("stop where Streak gives up", "lb {panic_message}\nlb {arch::panic_with_registers}"),
    "refusals": ("stop at each hypercall that is refused; RDI is the error", "lb {handle_failed_hypercall}"),
    "crashes": ("stop where a guest is ended for what it did", "lb {crash_domain}"),
    "calls": ("stop at each system call and hypercall", "lb {syscall_entry}\nlb {syscall_on_full_tables}"),
    "where": ("call stack, registers, the next instructions", "bt 12\nr\nu /6"),
    "traps": ("tell each interrupt and each return from one", "show extint\nshow softint\nshow iret"),
    "inject-triple-fault": ("a bad stack before there is an IDT", "lb {early_init}\nc\nset rsp = 0x8000000000000000"),
    "inject-lost-event": ("the next event of a FIFO is not raised", f"lb {{events::raise_fifo}}\nc\n{LEAVE}"),
    "inject-deadlock": ("a lock that a micro-kernel's call took stays taken",
                        f"lb {{guest::run}}\nc\nlb {{SpinLock::unlock}}\nc\n{LEAVE}\nbpd 1\nbpd 2"),
    "inject-bad-stack": ("a micro-kernel's stack is gone", "lb {guest::run}\nc\nset rsp = 0x1000"),
}


def resolved(commands, symbols):
    """Commands with addresses for `{NAME}`."""
    addresses = {name: f"{address:#x}" for address, name in reversed(symbols)}
    unknown = sorted(set(emulator.NAMED.findall(commands)) - set(addresses))
    if unknown:
        sys.exit(f"no function is called {', '.join(unknown)}; names are as in backtraces: nm -C build/streak-syms")
    return emulator.NAMED.sub(lambda match: addresses[match[1]], commands)


def write_macros(symbols):
    """A file of commands for each macro whose functions are there."""
    folder = emulator.FOLDER / "macros"
    folder.mkdir(parents=True, exist_ok=True)
    known = {name for _, name in symbols}
    for name, (purpose, commands) in MACROS.items():
        if known.issuperset(emulator.NAMED.findall(commands)):
            (folder / name).write_text(f"# {purpose}\n{resolved(commands, symbols)}\n")


def prepare(hypervisor, what, dom0_symbols=None, commands=""):
    """Medium, symbols and start commands for `what`; returns (Bochs' command line, the serial log)."""
    kind, _, name = what.partition(":")
    if kind not in ("dom0", "guest") or (kind == "guest") != bool(name):
        sys.exit(f"WHAT={what}: expected dom0 or guest:NAME, NAME a folder of tests/guests")
    label = f"{hypervisor}-debug-{name or kind}"
    serial = log_directory() / f"bochs-{label}.log"
    serial.unlink(missing_ok=True)
    medium = emulator.guest_medium(hypervisor, name) if name else emulator.dom0_medium(hypervisor, "")
    symbols = emulator.hypervisor_symbols() if hypervisor == "streak" else []
    symbols += emulator.guest_symbols(name) if name else []
    symbols += emulator.map_symbols(dom0_symbols) if dom0_symbols else []
    write_macros(symbols)
    config = emulator.write_config(emulator.FOLDER / f"{label}.bochsrc", medium, serial, magic=True)
    table = emulator.write_symbols(config.with_suffix(".symbols"), symbols)
    start = config.with_suffix(".commands")
    start.write_text(f'ldsym global "{table}"\n{resolved(commands, symbols)}')
    return ["bochs", "-q", "-f", str(config), "-rc", str(start)], serial


def run_commands(words, serial):
    """Prints the debugger's answers as they come, without the emulator's start, and then the serial log."""
    bochs = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, errors="replace")
    started = powered_off = False
    for line in bochs.stdout:
        started = started or line.startswith("Next at t=0")
        powered_off = powered_off or "soft power off" in line
        if started:
            print(line, end="", flush=True)
    status = bochs.wait()
    print("Serial console:")
    print(serial.read_text(errors="replace") if serial.exists() else "")
    return 0 if powered_off else status


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hv", choices=("streak", "xen"), default="streak")
    parser.add_argument("--what", default="dom0", help="dom0 or guest:NAME (a micro-kernel of tests/guests)")
    parser.add_argument("--dom0-symbols", help="System.map of dom0's kernel")
    parser.add_argument("--commands", help="run these commands of the debugger (; between them) and leave")
    options = parser.parse_args()
    commands = "".join(f"{c.strip()}\n" for c in options.commands.split(";")) + "q\n" if options.commands else ""
    words, serial = prepare(options.hv, options.what, options.dom0_symbols, commands)
    if commands:
        return run_commands(words, serial)
    print(f"Bochs' debugger: c continues, Ctrl-C stops, b \"NAME\" stops at a function, help, q.\n"
          f"Macros: " + "; ".join(f'source "{emulator.FOLDER}/macros/{name}": {purpose}'
                                  for name, (purpose, _) in MACROS.items()) +
          f"\nSerial console: tail -f {serial}   Screen: a VNC viewer on port 5900.", flush=True)
    os.execvp(words[0], words)


if __name__ == "__main__":
    sys.exit(main())
