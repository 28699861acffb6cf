#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The budgets of the trusted base: lines of code in hypervisor/ and xsm/, bytes of the compressed image.

usage: budgets.py IMAGE
"""
import pathlib
import re
import sys

MOST_LINES = 20_000
MOST_BYTES = 200 * 1024
ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def lines_of_code(path):
    """Lines with something besides white space and comments."""
    text = COMMENT.sub("", path.read_text())
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("//"))


def main():
    sources = [p for folder in ("hypervisor", "xsm") for p in (ROOT / folder).rglob("*")
               if p.suffix in (".cpp", ".hpp", ".S", ".def")]
    found = (("lines of code", sum(map(lines_of_code, sources)), MOST_LINES),
             ("bytes of the compressed image", pathlib.Path(sys.argv[1]).stat().st_size, MOST_BYTES))
    failed = 0
    for what, value, most in found:
        print(f"{'ok  ' if value <= most else 'FAIL'}  {what}: {value} of {most}")
        failed += value > most
    print(f"{len(found) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
