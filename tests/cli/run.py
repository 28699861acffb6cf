#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the real `streak` against a stand-in for streakd. One function a test; closes with `N passed, N failed`.

usage: run.py [--streak FILE] [PART-OF-A-NAME...]
"""
import argparse
import os
import pathlib
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import bench  # noqa: E402
import console_cases  # noqa: E402
import rough_edges  # noqa: E402
import verbs  # noqa: E402
from host import Host  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tests():
    for module in (verbs, rough_edges, console_cases, bench):
        for name, function in list(vars(module).items()):
            if name.startswith("test_"):
                yield name.removeprefix("test_"), function


def run(function, streak):
    """What went wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix="streak-cli-") as root:
        host = Host(streak, root)
        try:
            function(host)
            return ""
        except AssertionError as wrong:
            place = traceback.extract_tb(wrong.__traceback__)[-1]
            return f"{place.name}:{place.lineno}: {place.line}\n    {wrong}\n    {host.last()}"
        except Exception:  # noqa: BLE001: a test that breaks has failed
            return traceback.format_exc()
        finally:
            host.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--streak", default=str(pathlib.Path(os.environ.get("OUT", ROOT / "build")) / "tools/streak"))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    passed = failed = 0
    for name, function in tests():
        if options.names and not any(part in name for part in options.names):
            continue
        began = time.monotonic()
        wrong = run(function, options.streak)
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"{'FAIL' if wrong else 'ok  '}  {name} ({time.monotonic() - began:.1f} s)", flush=True)
        if wrong:
            print("    " + wrong, flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
