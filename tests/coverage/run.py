#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What `make coverage` prints adds up, and leaves no function out without a reason; a list that is wrong is told of.

usage: run.py -- REPORT-COMMAND...
"""
import pathlib
import re
import subprocess
import sys
import tempfile

LIST = pathlib.Path(__file__).resolve().parent / "uncovered.txt"
ROW = re.compile(r"^(\S+) +(\d+) of (\d+) +(\d+\.\d) % +(\d+) of (\d+)$", re.M)
FOLDERS = {"dom0-tools/config", "dom0-tools/store", "hypervisor/evtchn", "hypervisor/grant", "hypervisor/loader",
           "hypervisor/mm", "hypervisor/sched", "xsm"}


def report(command, reasons):
    """Status and output with a list of these lines."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(reasons) + "\n")
        file.flush()
        done = subprocess.run([*command, "--list", file.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def table_adds_up(output):
    rows = {row[0]: [float(field) for field in row[1:]] for row in ROW.findall(output)}
    total = rows.pop("all", None)
    return (total is not None and FOLDERS <= rows.keys()
            and all(sum(row[i] for row in rows.values()) == total[i] for i in (0, 1, 3, 4))
            and all(abs(row[2] - 100 * row[0] / row[1]) < 0.1 and row[0] > 0 for row in rows.values()))


def main():
    command = sys.argv[sys.argv.index("--") + 1:]
    reasons = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    status, output = report(command, reasons)
    print(output[:output.index("\nNothing hosted runs")])
    for line in output.splitlines():
        if line.startswith("FAIL"):
            print(line)
    printed = output.splitlines()
    named = all(any(line.startswith("  " + file.split(" ")[0].rstrip(":")) and line.endswith(why) for line in printed)
                for file, why in (reason.split(": ", 1) for reason in reasons))

    left_out = next(line for line in reasons if not line.split(" ")[0].endswith(":"))
    what = left_out.split(": ")[0]
    without = report(command, [line for line in reasons if line != left_out])
    stale = report(command, [*reasons, "xsm/xsm.hpp xsm::allowed: made up"])
    tests = {
        "every function runs, or its reason is given": status == 0,
        "the table adds up": table_adds_up(output),
        "what does not run is named with its reason": named,
        "a function without a reason fails": without[0] != 0 and f"FAIL  {what}: nothing runs it" in without[1],
        "a reason that is not true fails": stale[0] != 0 and "FAIL  xsm/xsm.hpp xsm::allowed: it is on" in stale[1],
    }
    for name, good in tests.items():
        print(f"{'ok  ' if good else 'FAIL'}  {name}")
    print(f"{sum(tests.values())} passed, {len(tests) - sum(tests.values())} failed")
    return not all(tests.values())


if __name__ == "__main__":
    sys.exit(main())
