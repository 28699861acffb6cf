#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the smoke tests in Bochs. Serial console: build/logs/bochs-HV-NAME.log; Bochs' own words: build/bochs."""
import argparse
import os
import re
import signal
import subprocess
import sys
import time

import emulator
from machine import log_directory
from run import HARMLESS, TROUBLE

# name: (script of dom0/tests, seconds)
CASES = {"smoke": ("smoke", 900)}


def judge(hypervisor, text, emulator_output):
    text = text.replace("\r", "")
    verdicts = dict(re.findall(r"^(?:.*\] )?TEST (\S+): (ok|FAIL.*)$", text, re.M))
    problems = [] if verdicts else ["no verdict of the test script"]
    problems += [f"{name}: {verdict}" for name, verdict in verdicts.items() if verdict != "ok"]
    harmless = HARMLESS[hypervisor]
    for line in text.splitlines():
        if TROUBLE.search(line) and "ommand line:" not in line and not (harmless and harmless.search(line)):
            problems.append(f"log: {line.strip()[:160]}")
    # Bochs' word counts: the last characters of dom0's may still be in the serial port.
    if "soft power off" not in emulator_output:
        problems.append("dom0 did not power off")
    return problems


def run_case(hypervisor, name):
    test, seconds = CASES[name]
    serial = log_directory() / f"bochs-{hypervisor}-{name}.log"
    serial.unlink(missing_ok=True)
    config = emulator.write_config(emulator.FOLDER / f"{hypervisor}-{name}.bochsrc",
                                   emulator.dom0_medium(hypervisor, test), serial)
    commands = config.with_suffix(".commands")
    commands.write_text("c\n")
    output = open(config.with_suffix(".out"), "wb")
    bochs = subprocess.Popen(["bochs", "-q", "-f", str(config), "-rc", str(commands)], stdin=subprocess.DEVNULL,
                             stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + seconds
    powered_off_at = None
    try:
        while bochs.poll() is None and time.monotonic() < deadline:
            time.sleep(1)
            text = serial.read_text(errors="replace") if serial.exists() else ""
            if "reboot: Power down" in text or TROUBLE.search(text.split("streak.cpus")[-1]):
                powered_off_at = powered_off_at or time.monotonic()
                if time.monotonic() > powered_off_at + 20:
                    break
    finally:
        if bochs.poll() is None:
            os.kill(bochs.pid, signal.SIGKILL)
        bochs.wait()
        output.close()
    return judge(hypervisor, serial.read_text(errors="replace") if serial.exists() else "",
                 config.with_suffix(".out").read_text(errors="replace"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hv", choices=("streak", "xen"), default="streak")
    parser.add_argument("--case", action="append", choices=sorted(CASES))
    options = parser.parse_args()
    names = options.case or sorted(CASES)
    failed = 0
    for name in names:
        started = time.monotonic()
        problems = run_case(options.hv, name)
        failed += bool(problems)
        print(f"{'FAIL' if problems else 'ok':4}  bochs-{name:14} {time.monotonic() - started:6.1f} s", flush=True)
        for problem in problems[:12]:
            print(f"        {problem}")
    print(f"{len(names) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
