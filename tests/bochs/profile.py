#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Where the instructions go while a micro-kernel of tests/guests runs, by function: Bochs traces every one of them from the
guest's entry point until the machine ends. The counts are exact, and the same each time.
"""
import argparse
import bisect
import collections
import json
import re
import subprocess
import sys

import debug
import emulator

# (0).[434577751] [0x0000002055d5] e008:ffff82d0400055d5 (machine::enter_s5+57): out dx, ax    ; 66ef
TRACED = re.compile(rb"\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]{4}:([0-9a-f]{16}) ")
HYPERVISOR_END = 0xffff830000000000


def traced_addresses(hypervisor, guest):
    """{address: instructions executed there}"""
    entry = next(address for address, name in emulator.guest_symbols(guest) if name == "guest_entry")
    commands = f"lb {entry:#x}\nc\ntrace on\nc\nq\n"
    words, serial = debug.prepare(hypervisor, f"guest:{guest}", commands=commands)
    counts = collections.Counter()
    bochs = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in bochs.stdout:
        if traced := TRACED.match(line):
            counts[traced[1]] += 1
    bochs.wait()
    if not counts:
        sys.exit(f"{guest} did not run; its serial log is {serial}")
    return {int(address, 16): count for address, count in counts.items()}


def by_function(addresses, symbols):
    """{name: instructions}, most first; what is below the first symbol is told by its address."""
    starts = [address for address, _ in symbols]
    functions = collections.Counter()
    for address, count in addresses.items():
        place = bisect.bisect_right(starts, address) - 1
        functions[symbols[place][1] if place >= 0 else f"{address:#x}"] += count
    return dict(functions.most_common())


def profile(hypervisor, guest):
    addresses = traced_addresses(hypervisor, guest)
    inside = {a: n for a, n in addresses.items() if emulator.HV_BASE <= a < HYPERVISOR_END}
    outside = {a: n for a, n in addresses.items() if a not in inside}
    return {"schema": "streak.bochs-profile/1", "guest": guest,
            "hypervisor": by_function(inside, emulator.hypervisor_symbols()),
            "micro_kernel": by_function(outside, emulator.guest_symbols(guest))}


def show(result, most):
    total = sum(sum(result[part].values()) for part in ("hypervisor", "micro_kernel"))
    print(f"{total} instructions from {result['guest']}'s entry point to the end of the machine")
    for part in ("hypervisor", "micro_kernel"):
        print(f"\n{part.replace('_', '-')}: {sum(result[part].values())} instructions")
        for name, count in list(result[part].items())[:most]:
            print(f"{count:12} {100 * count / total:5.1f} %  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", default="guest:start-info", help="guest:NAME")
    parser.add_argument("--most", type=int, default=25, help="functions shown")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    kind, _, guest = options.what.partition(":")
    if kind != "guest" or not guest:
        sys.exit(f"WHAT={options.what}: expected guest:NAME, a micro-kernel of tests/guests")
    result = profile("streak", guest)
    print(json.dumps(result, indent=1)) if options.json else show(result, options.most)
    return 0


if __name__ == "__main__":
    sys.exit(main())
