#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The guest tests/guests/bench on Streak and on Debian's Xen, side by side, the way to dom0, and the toolstack.

QEMU counts instructions (`-icount shift=0`): one instruction is one nanosecond and one tick of the guest's TSC, so
that figures repeat. The guest prints lines `BENCH NAME: COUNT`. `--short` runs the guests on Streak alone and compares them with
tests/bench/baseline.json, and the toolstack's commands with what they may take.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import host  # noqa: E402

import in_bochs  # noqa: E402
import power_on  # noqa: E402
import report  # noqa: E402
import toolstack  # noqa: E402

LINE = re.compile(r"BENCH (\S+?):?\s+(\d+)")
BASELINE = ROOT / "tests/bench/baseline.json"
MOST_GROWTH = 1.10
# Of fork and exec of a program that does nothing.
MOST_TIMES = {"create_stub": 3, "destroy_stub": 2, "list_0": 1, "create_debian": 20}
MOST_XL_GUESTS = 100  # 500 creates with xl take hours of emulation: they get longer with each guest


def guest_figures(hypervisor, guest, cpus):
    """{operation: instructions} that a guest tells."""
    made = subprocess.run(
        [sys.executable, "-B", ROOT / "tests/guests/run.py", "--hv", hypervisor, "--image", host.hypervisor(hypervisor),
         "--timeout", "300", f"--qemu=-smp {cpus}", guest], stdout=subprocess.PIPE, text=True)
    log = ROOT / f"build/logs/guests-{hypervisor}-{guest}.log"
    found = {name: int(count) for name, count in LINE.findall(log.read_text(errors="replace"))} if log.exists() else {}
    if made.returncode != 0 or not found:
        sys.exit(f"the guest {guest} failed on {hypervisor}:\n{made.stdout}")
    return found


def figures(hypervisor):
    """{operation: instructions}"""
    found = guest_figures(hypervisor, "bench", 1)
    for cpus in (1, 2):
        for name, count in guest_figures(hypervisor, "bench-switch", cpus).items():
            if cpus == 1 or name == "wakeup_round_trip":  # with a processor each nobody yields to the other
                found[f"{name}_{cpus}_cpu"] = count
    return found


def table(title, rows):
    """{name: {streak, xen}} with ratios"""
    print(f"\n{title:36} {'Streak':>10} {'Xen':>10} {'ratio':>7}")
    for name, pair in rows.items():
        ours, theirs = pair["streak"], pair["xen"]
        print(f"{name:36} {ours:10} {theirs or '-':>10} {f'{ours / theirs:.2f}' if theirs else '-':>7}")


def tool_rows(ours, xl, guests):
    """{what: (streak, xl on Streak, xl on Xen)}"""
    def row(own, theirs=None):
        return (ours.get(own), *(xl[hypervisor].get(theirs) for hypervisor in ("streak", "xen")))
    rows = {"fork and exec of true": row("fork_exec_true", "fork_exec_true"),
            "create a guest of 4 MiB": row("create_stub", "xl_create"), "destroy it": row("destroy_stub", "xl_destroy"),
            "create Debian's kernel, again": row("create_debian"), "list": row("list_0", "xl_list_0")}
    for many in guests:
        rows |= {f"create beside {many}": row(f"create_stub_with_{many}", f"xl_create_with_{many}"),
                 f"destroy beside {many}": row(f"destroy_stub_with_{many}", f"xl_destroy_with_{many}"),
                 f"list {many}": row(f"list_{many}", f"xl_list_{many}")}
    rows |= {"bytes of the hypervisor for a guest": row("hypervisor_bytes_per_guest", "xl_hypervisor_bytes_per_guest"),
             "bytes of dom0 for a guest": row("dom0_bytes_per_guest", "xl_dom0_bytes_per_guest")}
    return rows


def tool_table(rows):
    print(f"\n{'instructions in dom0, and memory':36} {'streak':>14} {'xl on Streak':>14} {'xl on Xen':>14} {'ratio':>7}")
    for name, (ours, here, theirs) in rows.items():
        print(f"{name:36} {ours or '-':>14} {here or '-':>14} {theirs or '-':>14} "
              f"{f'{ours / theirs:.2f}' if ours and theirs else '-':>7}")


def side_by_side_operations(measure):
    ours, theirs = measure("streak"), measure("xen")
    operations = {name: {"streak": count, "xen": theirs.get(name)} for name, count in ours.items()}
    table("instructions per operation", operations)
    return operations


def side_by_side(guests):
    operations = side_by_side_operations(figures)
    start = {name: {"streak": count // 10**6, "xen": other // 10**6} for name, (count, other) in power_on.figures().items()}
    table("million instructions from power-on", start)
    xl = {hypervisor: toolstack.xl_figures(hypervisor, [n for n in guests if n <= MOST_XL_GUESTS])
          for hypervisor in ("streak", "xen")}
    moved = {hypervisor: toolstack.throughput(found) for hypervisor, found in xl.items()}
    ways = {name: {"streak": count, "xen": moved["xen"][name]} for name, count in moved["streak"].items()}
    table("bytes in 1000 instructions", ways)
    tools = toolstack.figures(guests)
    rows = tool_rows(tools, xl, guests)
    tool_table(rows)
    sizes = {"image, compressed": host.hypervisor("streak").stat().st_size, "the incumbent's": host.hypervisor("xen").stat().st_size}
    print(f"\n{'bytes':36}")
    for name, size in sizes.items():
        print(f"{name:36} {size:10}")
    resident = {name: kib for name, kib in tools.items() if name.startswith("resident")}
    paths = report.write(host.BUILD / "bench", {"schema": "streak.bench/2", "operations": operations,
                                                "power_on_millions": start, "bytes_in_1000": ways,
                                                "toolstack": {name: dict(zip(("streak", "xl_on_streak", "xl_on_xen"), row))
                                                              for name, row in rows.items()},
                                                "resident_kib": resident, "image_bytes": sizes})
    print("\n" + "\n".join(str(path) for path in paths))
    return 0


def verdicts(now, before):
    """(is it good, what) for each operation."""
    for name, count in now.items():
        known = before.get(name)
        yield (known is not None and count <= known * MOST_GROWTH, f"{name:36} {count:10}, "
               + (f"baseline {known}" if known else "not in the baseline: make bench-baseline"))
    for name in sorted(set(before) - set(now)):
        yield False, f"{name} is in the baseline and was not measured"


def tool_verdicts(tools):
    """The same for the toolstack's commands: how many times fork and exec each may take."""
    for name, most in MOST_TIMES.items():
        times = tools[name] / tools["fork_exec_true"]
        yield times <= most, f"{name:36} {tools[name]:10}, {times:.2f} times fork and exec, at most {most}"


def report_verdicts(operations, tools):
    """What `make bench` leaves, of these figures for both hypervisors."""
    pairs = {name: {"streak": count, "xen": 2 * count} for name, count in operations.items()}
    rows = tool_rows(tools, {"streak": {}, "xen": {"xl_create": 2 * tools["create_stub"]}}, [1])
    with tempfile.TemporaryDirectory() as folder:
        as_json, as_svg = report.write(pathlib.Path(folder), {"operations": pairs, "toolstack": rows})
        read, picture = json.loads(as_json.read_text()), ElementTree.parse(as_svg)
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    yield read["operations"] == pairs, "the report holds the operations"
    yield read["toolstack"]["create a guest of 4 MiB"][2] == 2 * tools["create_stub"], "and the toolstack's figures"
    yield len(bars) == len(pairs) and len({bar.get("width") for bar in bars}) == 1, "a bar for each, half as long as Xen's"


def short():
    """One verdict line per figure; how many failed."""
    operations, tools = figures("streak"), toolstack.figures([1])
    all_of_them = [*verdicts(operations, json.loads(BASELINE.read_text())), *tool_verdicts(tools),
                   *report_verdicts(operations, tools)]
    for good, text in all_of_them:
        print(f"{'ok' if good else 'FAIL':4}  {text}")
    failed = sum(not good for good, _ in all_of_them)
    print(f"{len(all_of_them) - failed} passed, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="compare Streak with the committed baseline")
    parser.add_argument("--update", action="store_true", help="make what is measured the baseline")
    parser.add_argument("--bochs", action="store_true", help="the guest `bench` on both hypervisors, in Bochs")
    parser.add_argument("--guests", default="1,10,100,500", help="beside how many guests the toolstack is measured")
    options = parser.parse_args()
    if options.update:
        BASELINE.write_text(json.dumps(figures("streak"), indent=1) + "\n")
        return 0
    if options.short:
        return short() != 0
    if options.bochs:
        side_by_side_operations(in_bochs.figures)
        return 0
    return side_by_side([int(n) for n in options.guests.split(",")])


if __name__ == "__main__":
    sys.exit(main())
