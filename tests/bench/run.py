#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The guest tests/guests/bench on Streak and on Debian's Xen, side by side, the way to dom0, and the toolstack.

QEMU counts instructions (`-icount shift=0`): one instruction is one nanosecond and one tick of the guest's TSC, so
that figures repeat. The guest prints lines `BENCH NAME: COUNT`. `--short` runs the guest on Streak alone and compares it with
tests/bench/baseline.json.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import host  # noqa: E402

import power_on  # noqa: E402
import report  # noqa: E402
import toolstack  # noqa: E402

LINE = re.compile(r"BENCH (\S+?):?\s+(\d+)")
BASELINE = ROOT / "tests/bench/baseline.json"
MOST_GROWTH = 1.10


def figures(hypervisor):
    """{operation: instructions}"""
    made = subprocess.run(
        [sys.executable, "-B", ROOT / "tests/guests/run.py", "--hv", hypervisor, "--image", host.hypervisor(hypervisor),
         "--timeout", "300", "--qemu=-icount shift=0,sleep=off", "bench"], stdout=subprocess.PIPE, text=True)
    log = ROOT / f"build/logs/guests-{hypervisor}-bench.log"
    found = {name: int(count) for name, count in LINE.findall(log.read_text(errors="replace"))} if log.exists() else {}
    if made.returncode != 0 or not found:
        sys.exit(f"the bench guest failed on {hypervisor}:\n{made.stdout}")
    return found


def table(title, rows):
    """{name: {streak, xen}} with ratios"""
    print(f"\n{title:36} {'Streak':>10} {'Xen':>10} {'ratio':>7}")
    for name, pair in rows.items():
        ours, theirs = pair["streak"], pair["xen"]
        print(f"{name:36} {ours:10} {theirs or '-':>10} {f'{ours / theirs:.2f}' if theirs else '-':>7}")


def side_by_side():
    ours, theirs = figures("streak"), figures("xen")
    operations = {name: {"streak": count, "xen": theirs.get(name)} for name, count in ours.items()}
    table("instructions per operation", operations)
    start = {name: {"streak": count // 10**6, "xen": other // 10**6} for name, (count, other) in power_on.figures().items()}
    table("million instructions from power-on", start)
    tools = toolstack.figures()
    print(f"\n{'instructions in dom0, bytes, KiB':36} {'Streak':>10} {'/ fork_exec_true':>18}")
    for name, count in tools.items():
        ratio = "" if "bytes" in name or "kib" in name else f"{count / tools['fork_exec_true']:18.2f}"
        print(f"{name:36} {count:10} {ratio}")
    paths = report.write(host.BUILD / "bench", {"schema": "streak.bench/1", "operations": operations,
                                                "power_on_millions": start, "toolstack": tools})
    print("\n" + "\n".join(str(path) for path in paths))
    return 0


def compare(now, before):
    """One verdict line per operation; how many failed."""
    failed = 0
    for name, count in now.items():
        known = before.get(name)
        bad = known is None or count > known * MOST_GROWTH
        failed += bad
        print(f"{'FAIL' if bad else 'ok':4}  {name:36} {count:8}, "
              + (f"baseline {known}" if known else "not in the baseline: make bench-baseline"))
    for name in sorted(set(before) - set(now)):
        failed += 1
        print(f"FAIL  {name} is in the baseline and was not measured")
    print(f"{len(set(now) | set(before)) - failed} passed, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="compare Streak with the committed baseline")
    parser.add_argument("--update", action="store_true", help="make what is measured the baseline")
    options = parser.parse_args()
    if options.update:
        BASELINE.write_text(json.dumps(figures("streak"), indent=1) + "\n")
        return 0
    if options.short:
        return compare(figures("streak"), json.loads(BASELINE.read_text())) != 0
    return side_by_side()


if __name__ == "__main__":
    sys.exit(main())
