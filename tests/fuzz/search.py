#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make fuzz` on the smallest fuzzer: it searches, from the corpus on, and an input that its oracle objects to is kept.

usage: search.py --make "make"
"""
import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

FUZZER = "instructions"
FEWEST_RUNS, FEWEST_EDGES = 1000, 100


def search(make, out, fault=""):
    """Status and output of two seconds of `make fuzz`."""
    done = subprocess.run([*shlex.split(make), "--no-print-directory", "fuzz", f"FUZZ={FUZZER}", "SECONDS=2", f"OUT={out}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env={**os.environ, "FUZZ_FAULT": fault})
    return done.returncode, done.stdout


def searches(make, out):
    """None, or what is wrong with a search that finds nothing."""
    status, output = search(make, out)
    runs = re.search(r"^Done (\d+) runs in \d+ second", output, re.M)
    edges = re.findall(r" cov: (\d+) ", output)
    if status != 0 or not runs:
        return f"it ended with status {status}:\n{output}"
    if int(runs[1]) < FEWEST_RUNS or not edges or int(edges[-1]) < FEWEST_EDGES:
        return f"{runs[1]} runs, {edges[-1:]} edges are too few:\n{output}"
    return None


def finds(make, out):
    """None, or how a mistake was missed."""
    status, output = search(make, out, fault="byte-short")
    if status == 0 or "oracle: " not in output:
        return f"a mistake went unnoticed:\n{output}"
    if not list((out / "fuzz" / f"{FUZZER}.found").glob("crash-*")):
        return f"the input is not kept:\n{output}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--make", default="make")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="streak-fuzz-") as folder:
        out = pathlib.Path(folder)
        for test in (searches, finds):
            complaint = test(options.make, out)
            failed += complaint is not None
            print(f"{'FAIL' if complaint else 'ok  '}  make fuzz: {test.__name__}" + (f": {complaint}" if complaint else ""))
    print(f"{2 - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
