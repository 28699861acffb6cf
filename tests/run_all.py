#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make test`: runs the test stages one after the other and sums up their closing lines.

A stage is a make target test-STAGE that closes with `N passed, N failed`. A failed stage does not stop
the others.
"""
import argparse
import re
import shlex
import subprocess
import sys
import time

CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


def run_stage(command):
    """(passed, failed) of a stage, its output passed on."""
    passed = failed = 0
    closed = False
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", close_fds=False)  # make's job server stays open
    for line in process.stdout:
        closing = CLOSING.match(line.strip())
        if closing:
            passed, failed, closed = passed + int(closing[1]), failed + int(closing[2]), True
            line = "  " + line  # the sum alone stands at the start of a line
        sys.stdout.write(line)
        sys.stdout.flush()
    status = process.wait()
    if (status != 0 and failed == 0) or not closed:
        print(f"the stage ended with status {status}" + ("" if closed else " and without a closing line"))
        failed += 1
    return passed, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--make", default="make")
    parser.add_argument("--hv", default="streak")
    parser.add_argument("stages", nargs="+")
    options = parser.parse_args()
    results = []
    for stage in options.stages:
        print(f"\n=== test-{stage} ===", flush=True)
        started = time.monotonic()
        passed, failed = run_stage([*shlex.split(options.make), "--no-print-directory", f"HV={options.hv}",
                                    f"test-{stage}"])
        results.append((stage, passed, failed, time.monotonic() - started))
    print()
    for stage, passed, failed, seconds in results:
        print(f"{'FAIL' if failed else 'ok':4}  test-{stage:8} {passed:4} passed {failed:3} failed {seconds:6.0f} s")
    total = sum(result[1] for result in results), sum(result[2] for result in results)
    print(f"{total[0]} passed, {total[1]} failed")
    return total[1] != 0


if __name__ == "__main__":
    sys.exit(main())
