#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make run`, `make shell`, `make iso`: the hypervisor and Debian's kernel as dom0, serial console attached.

With a terminal on standard input: a shell in dom0, with the toolstack's daemons running. Without one: the demonstration
of dom0/tests/streak.sh (a guest from its definition to its end; demo.sh on Debian's Xen), then power-off; the exit status
is 0 when all of it was seen.
"""
import argparse
import os
import sys
import time

import dom0_image
import host
import iso
from cases import DOM0_OPTIONS, HV_OPTIONS
from machine import Machine, Run, log_directory, qemu_command

TITLE = {"streak": "Streak", "xen": "Debian's Xen 4.17"}
SHELL_TEXT = """Booting {title} with Debian's {kernel} as dom0 in QEMU (no hardware virtualisation: about {seconds} s).
The serial console is this terminal and ends in a dom0 shell. 'poweroff' ends the machine;
Ctrl-\\ x ends the emulator at once; three times Ctrl-A switches the input to the hypervisor (h: help) and back.
"""
DEMO_TEXT = """Booting {title} with Debian's {kernel} as dom0 in QEMU (no hardware virtualisation: about {seconds} s).
There is no terminal: dom0 shows a guest's life and powers off. `make shell` wants a terminal and gives a shell.
"""
DEMO_SECONDS = 600


def build_iso(hypervisor, demonstration, more=""):
    """A medium with Streak's toolstack in dom0; with Debian's Xen there is none."""
    kind = "streak" if hypervisor == "streak" else ""
    test = (kind or "demo") if demonstration else ""
    name = f"{hypervisor}-demo.iso" if test else f"{hypervisor}.iso"
    dom0 = DOM0_OPTIONS + (f" streak.test={test}" if test else "")
    modules = [iso.Module(host.kernel()[0], dom0), iso.Module(dom0_image.build(kind))]
    return iso.build(host.BUILD / name, host.hypervisor(hypervisor), f"{HV_OPTIONS} {more}".rstrip(), modules)


def shell(machine, medium):
    command = qemu_command(machine, medium, host.BUILD / "shell")
    sys.stdout.flush()
    os.execvp(command[0], command + ["-serial", "mon:stdio", "-echr", "0x1c"])


def demonstrate(machine, medium, hypervisor):
    run = Run(qemu_command(machine, medium, host.BUILD / "demo"), log_directory() / f"demo-{hypervisor}.log", sys.stdout)
    started = time.monotonic()
    try:
        ended = run.wait_end(DEMO_SECONDS)
    finally:
        run.close()
    good = ended and run.reason == "guest-shutdown" and "TEST demo: ok" in run.text and ": FAIL" not in run.text
    verdict = "The demonstration ran and the machine powered off" if good else \
        f"The demonstration failed (machine ended: {run.reason or 'no'}; log: {run.log_path})"
    print(f"\n{verdict}, {time.monotonic() - started:.0f} s.")
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hv", choices=("streak", "xen"), default="streak")
    parser.add_argument("--shell", action="store_true", help="a shell, terminal or not")
    parser.add_argument("--iso-only", action="store_true")
    options = parser.parse_args()
    with_shell = options.shell or options.iso_only or sys.stdin is not None and sys.stdin.isatty()
    medium = build_iso(options.hv, not with_shell)
    if options.iso_only:
        print(f"  ISO      {medium}")
        return 0
    machine = Machine(smp=2, nics=["e1000"])
    text = SHELL_TEXT if with_shell else DEMO_TEXT
    print(text.format(title=TITLE[options.hv], kernel=host.kernel()[0].name, seconds=20), flush=True)
    if with_shell:
        shell(machine, medium)
    return demonstrate(machine, medium, options.hv)


if __name__ == "__main__":
    sys.exit(main())
