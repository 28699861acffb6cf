#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the commands of docs/debugging.md and compares what they print with what the page says.

A block `console` is a command after `$ ` and lines that have to come in this order; `…` stands for anything, between lines
and within one. Numbers that depend on the build are not compared. A time that a command takes from an earlier block
(`sba 432820510` after `Next at t=432820810`) is moved as that block's time has moved.
"""
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/debugging.md"
STOP = re.compile(r"Next at t=(\d+)")
NEAR = 100_000  # instructions: a time that close to a stop is meant to be relative to it
# Addresses, times, counts, and offsets in functions.
FIGURES = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|(?<=\+)[0-9a-f]+|\b[0-9a-f]{2}(?:[0-9a-f]{2})+$|\d+(?:\.\d+)?")


def blocks(text):
    """[(command, lines)]"""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        first, *lines = block.splitlines()
        found.append((first.removeprefix("$ "), lines))
    return found


def shape(line):
    """The line without figures that depend on the build, and without blanks that align them."""
    return re.sub(r"\s+", " ", FIGURES.sub("N", line)).strip()


def pattern(line):
    """What a line of the page matches."""
    return re.compile(".*".join(re.escape(shape(part)) for part in line.split("…")))


def missing(lines, output):
    """The first line of the page that is not in the output, in order; None: all are there."""
    rest = iter([shape(line) for line in output.splitlines()])
    for line in lines:
        if line.strip() in ("…", ""):
            continue
        wanted = pattern(line)
        if not any(wanted.search(candidate) for candidate in rest):
            return line
    return None


class Times:
    """How far the stops of this build are from those of the page."""

    def __init__(self):
        self.moved = []  # (time of the page, time here)

    def learn(self, lines, output):
        self.moved += zip([int(t) for line in lines for t in STOP.findall(line)],
                          [int(t) for t in STOP.findall(output) if t != "0"])

    def translate(self, command):
        def moved(match):
            number = int(match[0])
            for page, here in self.moved:
                if abs(page - number) < NEAR:
                    return str(number + here - page)
            return match[0]
        return re.sub(r"\b\d{7,}\b", moved, command)


def main():
    times, failed, tried = Times(), 0, blocks(PAGE.read_text())
    for command, lines in tried:
        started = time.monotonic()
        ran = subprocess.run(times.translate(command), shell=True, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", timeout=600)
        times.learn(lines, ran.stdout)
        lost = missing(lines, ran.stdout)
        failed += lost is not None
        print(f"{'ok' if lost is None else 'FAIL':4}  {command[:90]}  {time.monotonic() - started:.1f} s", flush=True)
        if lost is not None:
            print(f"        the page has, and this run has not: {lost}")
            print("".join(f"        | {line[:140]}\n" for line in ran.stdout.splitlines()[-30:]))
    print(f"{len(tried) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
