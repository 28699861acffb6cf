#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make bench`: the guest tests/guests/bench on Streak and on Debian's Xen, side by side, and the way to dom0.

QEMU counts instructions (`-icount shift=0`): one instruction is one nanosecond and one tick of the guest's TSC, so
that figures repeat. The guest prints lines `BENCH NAME: COUNT`.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import host  # noqa: E402

import power_on  # noqa: E402
import toolstack  # noqa: E402

LINE = re.compile(r"BENCH (\S+?):?\s+(\d+)")


def figures(hypervisor):
    made = subprocess.run(
        [sys.executable, "-B", ROOT / "tests/guests/run.py", "--hv", hypervisor, "--image", host.hypervisor(hypervisor),
         "--timeout", "300", "--qemu=-icount shift=0,sleep=off", "bench"], stdout=subprocess.PIPE, text=True)
    log = ROOT / f"build/logs/guests-{hypervisor}-bench.log"
    found = {name: int(count) for name, count in LINE.findall(log.read_text(errors="replace"))} if log.exists() else {}
    if made.returncode != 0 or not found:
        sys.exit(f"the bench guest failed on {hypervisor}:\n{made.stdout}")
    return found


def main():
    if not (ROOT / "tests/guests/bench/main.cpp").exists():
        sys.exit("tests/guests/bench is absent")
    ours, theirs = figures("streak"), figures("xen")
    print(f"{'instructions per operation':36} {'Streak':>10} {'Xen':>10} {'ratio':>7}")
    for name, count in ours.items():
        other = theirs.get(name)
        print(f"{name:36} {count:10} {other or '-':>10} {f'{count / other:.2f}' if other else '-':>7}")
    print(f"\n{'million instructions from power-on':36} {'Streak':>10} {'Xen':>10} {'ratio':>7}")
    for name, (count, other) in power_on.figures().items():
        print(f"{name:36} {count // 10**6:10} {other // 10**6:10} {count / other:7.2f}")
    tools = toolstack.figures()
    print(f"\n{'instructions in dom0, bytes, KiB':36} {'Streak':>10} {'/ fork_exec_true':>18}")
    for name, count in tools.items():
        ratio = "" if "bytes" in name or "kib" in name else f"{count / tools['fork_exec_true']:18.2f}"
        print(f"{name:36} {count:10} {ratio}")


if __name__ == "__main__":
    main()
