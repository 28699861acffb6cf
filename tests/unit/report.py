#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs a Catch2 program and closes with `N passed, N failed` (test cases); what failed runs again, to be read.

usage: report.py PROGRAM [ARGUMENT...]
"""
import subprocess
import sys
import xml.etree.ElementTree as ElementTree


def read(report):
    """Names of test cases with whether they passed, as far as a report goes; it breaks off when the program dies."""
    parser = ElementTree.XMLPullParser(events=("start", "end"))
    cases = {}
    try:
        parser.feed(report)
        for event, element in parser.read_events():
            if event == "start" and element.tag == "TestCase":
                name = element.get("name")
                cases[name] = False
            if event == "end" and element.tag == "OverallResult":
                cases[name] = element.get("success") == "true"
    except ElementTree.ParseError:
        pass
    return cases


def main():
    program, *arguments = sys.argv[1:]
    run = subprocess.run([program, "-r", "xml", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    cases = read(run.stdout)
    failed = [name for name, passed in cases.items() if not passed]
    for name in failed:
        print(f"FAIL  {name}", flush=True)
        subprocess.run([program, name.replace(",", "\\,").replace("[", "\\[")], stdin=subprocess.DEVNULL)
    if run.returncode != 0 and not failed:
        print(f"FAIL  {program}: ended with status {run.returncode}")
        failed.append(program)
    print(f"{len(cases) - len(failed)} passed, {len(failed)} failed")
    return run.returncode != 0 or not cases


if __name__ == "__main__":
    sys.exit(main())
