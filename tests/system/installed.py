#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boots the disk image of `make image` in QEMU and tries the installed toolstack over the serial console.

usage: installed.py IMAGE [--run]     --run: a login on this terminal instead, on a copy that is thrown away
"""
import argparse
import os
import re
import sys
import time

from machine import Machine, Run, disk_command, log_directory

BOOT_SECONDS = 900
COMMAND_SECONDS = 300
DAEMONS = ("streak-stored", "streak-consoled", "streakd")
PROMPT = "root@streak:~# "


class Session:
    """A shell on the machine's serial console."""

    def __init__(self, run):
        self.run = run
        self.position = 0
        self.number = 0

    def log_in(self):
        """False when there never was a prompt."""
        for pattern, answer in ((r"^streak login: ", "root\n"), (re.escape(PROMPT), "")):
            self.position = self.run.wait_for(pattern, BOOT_SECONDS, self.position)
            if self.position is None:
                return False
            self.run.send(answer)
        return True

    def ask(self, command, seconds=COMMAND_SECONDS):
        """(exit status, output) of a command; status None when it never ended."""
        self.number += 1
        mark = f"end-of-{self.number}"
        self.run.send(f"{command}; echo {mark[:4]}''{mark[4:]}:$?\n")  # the echo of the line is no mark
        end = self.run.wait_for(rf"{mark}:\d+", seconds, self.position)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.run.text[self.position:end])
        self.position = end or self.position
        return (int(re.search(rf"{mark}:(\d+)", text)[1]) if end else None), text


GUEST = """<domain type='xen'><name>web</name><uuid>11111111-2222-3333-4444-555555555555</uuid>
<memory unit='MiB'>192</memory><os><type arch='x86_64' machine='xenpv'>linux</type><kernel>/boot/vmlinuz-KERNEL</kernel>
<initrd>/boot/initrd.img-KERNEL</initrd><cmdline>console=hvc0 loglevel=4 break=top</cmdline></os><devices>
<disk type='file'><driver type='raw'/><source file='/root/web.img'/><target dev='xvda'/></disk>
<interface type='bridge'><source bridge='br0'/></interface></devices></domain>
"""
GUEST_LOG = "/var/log/streak/console/11111111-2222-3333-4444-555555555555.log"
WRITE_GUEST = "sed s/KERNEL/$(uname -r)/ web.in >web.xml && truncate -s 1M web.img"


def checks(session):
    """(what, whether it was so, what was seen instead) one after the other."""
    def succeeds(name, command, pattern="", seconds=COMMAND_SECONDS):
        status, text = session.ask(command, seconds)
        good = status == 0 and re.search(pattern, text, re.M) is not None
        return name, good, f"status {status}: {text.strip()[-300:]}"

    def all_active():
        for daemon in DAEMONS:
            yield succeeds(f"{daemon} is active", f"systemctl is-active {daemon}.service", r"^active$")
        yield succeeds("the host has what it needs", "streak doctor", "^ok +streakd")

    yield succeeds("the system is up", "systemctl is-system-running --wait", "^running$")
    yield from all_active()
    session.run.send(f"cat >web.in <<'END'\n{GUEST}END\n")
    yield succeeds("definition", f"{WRITE_GUEST} && streak validate web.xml")
    yield succeeds("create", "streak create web.xml")
    yield succeeds("the guest starts", f"until grep -q initramfs {GUEST_LOG}; do sleep 1; done")
    for daemon in DAEMONS:
        yield succeeds(f"{daemon} restarts", f"systemctl restart {daemon}.service && systemctl is-active {daemon}.service",
                       "^active$")
    yield succeeds("the guest is listed", "streak list", "^web +1 ")
    for daemon in DAEMONS:
        yield succeeds(f"{daemon} is killed", f"systemctl kill -s KILL {daemon}.service; sleep 2")
    yield from all_active()
    yield succeeds("the guest is still there", "streak dominfo web", "^vif1.0 .* br0 ")
    yield succeeds("destroy", "streak destroy web && streak list --leftovers", "")
    yield succeeds("the log has the end", f"tail -n 1 {GUEST_LOG}", "ended: destroyed")
    # But that daemons were killed, and the store away for a moment.
    yield succeeds("nothing else complains", "! journalctl -p warning -u 'streak*' -q --no-pager | "
                   "grep -v \"code=killed\\|'signal'\\|the store is not there\\|the store does not tell\"")


def try_out(image):
    log = log_directory() / "installed.log"
    run = Run(disk_command(Machine(smp=2, memory_mib=1536, nics=["e1000"]), image), log)
    failed = passed = 0
    started = time.monotonic()
    try:
        session = Session(run)
        if session.log_in():
            print(f"ok    login after {time.monotonic() - started:.0f} s", flush=True)
            for name, good, seen in checks(session):
                print(f"ok    {name}" if good else f"FAIL  {name}: {seen}", flush=True)
                passed += good
                failed += not good
            run.send("poweroff\n")
        good = run.wait_end(120) and run.reason == "guest-shutdown"
    finally:
        run.close()
    print("ok    power-off" if good else f"FAIL  power-off: the machine ended with {run.reason}; log: {log}")
    print(f"installed image: {time.monotonic() - started:.0f} s")
    print(f"{passed + good} passed, {failed + (not good)} failed")
    return 1 if failed or not good else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--run", action="store_true")
    options = parser.parse_args()
    if not options.run:
        return try_out(options.image)
    command = disk_command(Machine(smp=2, memory_mib=1536, nics=["e1000"]), options.image)
    os.execvp(command[0], command + ["-serial", "mon:stdio", "-echr", "0x1c"])


if __name__ == "__main__":
    sys.exit(main())
