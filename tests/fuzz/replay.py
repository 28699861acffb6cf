#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Gives every file of tests/fuzz/corpus/NAME to build/fuzz/replay-NAME once; closes with `N passed, N failed`.

Each fuzzer knows mistakes that its surroundings make on demand (FUZZ_FAULT); the corpus must show each to its oracle.

usage: replay.py build/fuzz/replay-NAME...
"""
import os
import pathlib
import subprocess
import sys

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def run(program, arguments, fault=""):
    """Status and lines of a run, without what it says about coverage (a mistaken run covers nothing)."""
    environment = {**os.environ, "FUZZ_FAULT": fault}
    if fault:
        environment["GCOV_PREFIX"] = "/dev/null"
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", env=environment)
    return done.returncode, done.stdout.splitlines()


def replay(program, files):
    """The files that killed the program; it is started anew behind each."""
    killers = []
    while files:
        status, lines = run(program, files)
        ran = {line[len("ran "):] for line in lines if line.startswith("ran ")}
        files = [file for file in files if str(file) not in ran]
        if files:
            print("\n".join(line for line in lines if not line.startswith("ran")))
            print(f"FAIL  {program.name} {files[0].name}: ended with status {status}")
            killers.append(files.pop(0))
        elif status != 0 or "ran" not in lines:
            print("\n".join(lines))
            print(f"FAIL  {program.name}: ended with status {status} after the last input")
            killers.append(program)
    return killers


def missed_faults(program, files):
    """Mistakes that no input shows to the oracle, and how many there are."""
    faults = run(program, ["--faults"])[1]
    missed = []
    for fault in faults:
        status, lines = run(program, files, fault)
        if status == 0 or not any("oracle: " in line for line in lines):
            print(f"FAIL  {program.name}: the mistake {fault} went unnoticed")
            missed.append(fault)
    if not faults:
        print(f"FAIL  {program.name}: nothing shows that its oracle can fail")
        missed.append("none")
    return missed, len(faults)


def main():
    passed = failed = 0
    for program in map(pathlib.Path, sys.argv[1:]):
        files = sorted(file for file in (CORPUS / program.name.removeprefix("replay-")).glob("*") if file.is_file())
        if not files:
            print(f"FAIL  {program.name}: no corpus")
            failed += 1
            continue
        killers = replay(program, list(files))
        missed, faults = missed_faults(program, files)
        failed += len(killers) + len(missed)
        passed += len(files) - len([k for k in killers if k != program]) + faults - len(missed)
        print(f"{'FAIL' if killers or missed else 'ok  '}  {program.name}: {len(files)} inputs, "
              f"{faults} mistakes to be noticed")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
