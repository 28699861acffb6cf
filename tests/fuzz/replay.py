#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Gives every file of tests/fuzz/corpus/NAME to build/fuzz/replay-NAME once; closes with `N passed, N failed`.

usage: replay.py build/fuzz/replay-NAME...
"""
import pathlib
import subprocess
import sys

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def replay(program, files):
    """The files that killed the program; it is started anew behind each."""
    killers = []
    while files:
        run = subprocess.run([program, *files], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace")
        lines = run.stdout.splitlines()
        ran = {line[len("ran "):] for line in lines if line.startswith("ran ")}
        files = [file for file in files if str(file) not in ran]
        if files:
            print("\n".join(line for line in lines if not line.startswith("ran")))
            print(f"FAIL  {program.name} {files[0].name}: ended with status {run.returncode}")
            killers.append(files.pop(0))
        elif run.returncode != 0 or "ran" not in lines:
            print(run.stdout)
            print(f"FAIL  {program.name}: ended with status {run.returncode} after the last input")
            killers.append(program)
    return killers


def main():
    passed = failed = 0
    for program in map(pathlib.Path, sys.argv[1:]):
        files = sorted(file for file in (CORPUS / program.name.removeprefix("replay-")).glob("*") if file.is_file())
        if not files:
            print(f"FAIL  {program.name}: no corpus")
            failed += 1
            continue
        killers = replay(program, files)
        failed += len(killers)
        passed += len(files) - len([k for k in killers if k != program])
        print(f"{'FAIL' if killers else 'ok  '}  {program.name}: {len(files)} inputs")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
