#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make test-invariants`: the check in debug builds finds what is broken on purpose, and nothing otherwise.

The debug build boots with the fuzzer of hypercalls (tests/guests/fuzz-domu). gdb waits until that is at work, then changes one
word of the hypervisor's memory after the other (break_it.py). Each time the check has to say what is wrong.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/debug"))
import session  # noqa: E402
from session import Emulator, folder_of, guests, host, serial_console  # noqa: E402

DEBUG = host.BUILD / "debug"
GUEST, STARTED = "fuzz-domu", b"seed 2, "  # the short rounds are over, and d6 plays
SECONDS = 300
FRAME = "set $frame = &((streak::mm::PageInfo*)0xffff824000000000)"
ROOT_TABLE = "set $table = (unsigned long*)(0xffff830000000000 + $streak_vcpu(0, 0)->cr3_kernel)"
OWN = f"{FRAME}[$streak_domain(0)->pages.first]"
ANONYMOUS = "'streak::mm::(anonymous namespace)::%s'"

# What gdb does before, the word it changes, the value it gets, and what Streak then says.
CASES = {
    "general references": ([OWN], "$frame->count._M_i", "$old + 1", r"general references: 0x1 expected, 0x2 found"),
    "references by type": ([f"{FRAME}[$streak_vcpu(0, 0)->cr3_kernel >> 12]"], "$frame->type._M_i", "$old + 1",
                           r"references by type: 0x\w+ expected, 0x\w+ found"),
    "another type": ([f"{FRAME}[$streak_vcpu(0, 0)->cr3_kernel >> 12]"], "$frame->type._M_i", "$old ^ (7ull << 60)",
                     r"uses of the frame, a bit for each type|used by a validated table|references by type"),
    "a change under way": ([OWN], "$frame->type._M_i", "$old | (1ull << 56)", "changes of type under way"),
    "another owner": ([OWN], "$frame->owner", "7", r"on the list of another domain, which is: 0x0 expected, 0x7 found"),
    "a page-table entry": ([ROOT_TABLE], "$table[3]", "$table[511]", r"general references: 0x\w+ expected, 0x\w+ found"),
    "a forbidden flag": ([ROOT_TABLE], "$table[511]", "$old | 0x80", r"entries with forbidden flags: 0x0 expected, 0x80 found"),
    "an entry of the hypervisor": ([ROOT_TABLE], "$table[268]", "$table[261]", r"an entry of the hypervisor in an L4 table"),
    "a list of frames": ([OWN], "$frame->next", "~0u", r"d0: \d+ frames are charged, 1 are on its list"),
    "an account": ([], "$streak_domain(0)->pages.total", "$old - 1", r"d0: \d+ frames are charged, \d+ are on its list"),
    "free frames": ([], ANONYMOUS % "free_frame_count", "$old + 1", r"\d+ free frames are counted, \d+ listed"),
    "claimed frames": ([], ANONYMOUS % "claimed_frames", "5", r"5 frames are counted as claimed, 0 by the domains"),
    "a lock": ([], "$streak_domain(0)->page_lock.next_._M_i", "$old + 1", r"page_lock of 0: free expected, held found"),
    "a port's vCPU": ([], "$streak_domain(0)->ports->buckets_[0][1].vcpu", "77", r"d0 port 1: vCPU 77, "),
    "a port's peer": ([], "$streak_domain(0)->ports->buckets_[0][1].state", "streak::evtchn::PortState::interdomain",
                      r"d0 port 1: its peer"),
    "a VIRQ": ([], "$streak_vcpu(0, 0)->virq_port._M_elems[4]", "1", r"d0v0 VIRQ 4: its port 1 is not bound to it"),
    "a pin": (["set $mine = $streak_domain(0)->grants->actives_[0]"], "$mine[9].readers", "3",
              r"d0 grant 9: \d+ readers and \d+ writers expected, 3 and \d+ found"),
    "a handle": (["set $mine = $streak_domain(6)->maptrack"], "$mine->free_", "~0u", r"d6: \d+ handles are used and 0 free of \d+"),
    "a run queue": ([], "streak::scheduler::queues._M_elems[0].queue.waiting_", "$old + 1", r"CPU 0: \d+ vCPUs wait .* counted"),
    "a sleeping vCPU": ([], "$streak_vcpu(0, 0)->sched.on_cpu._M_base._M_i", "!$old", r"d0v0: on a CPU"),
}


def build_medium(folder):
    with tempfile.TemporaryDirectory(dir=folder) as work:
        medium = guests.make_iso(GUEST, str(DEBUG / "streak.gz"), guests.make_core(work), work, ["check-invariants=100"],
                                 "seed=1 calls=1000000 vcpus=1")
        shutil.move(medium, folder / "boot.iso")
    return folder / "boot.iso"


def run_gdb(folder, emulator):
    """By case, whether it was found."""
    cases, found = folder / "cases.json", folder / "found.json"
    cases.write_text(json.dumps({name: case[:3] for name, case in CASES.items()}))
    found.unlink(missing_ok=True)
    lines = ["set confirm off", "set pagination off", f"source {session.GDB_SCRIPT}", f"target remote {emulator.stub}",
             f"source {pathlib.Path(__file__).with_name('break_it.py')}"]
    with open(folder / "gdb.log", "w", encoding="utf-8") as log:
        subprocess.run(["gdb", "-q", "-nx", "-batch", str(DEBUG / "streak-syms"), *[a for line in lines for a in ("-ex", line)]],
                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=SECONDS,
                       env={**os.environ, "CASES": str(cases), "FOUND": str(found)})
    return json.loads(found.read_text()) if found.exists() else {}


def main():
    folder = folder_of("debug-invariants")
    emulator = Emulator(["qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64", "-m", "256M", "-display", "none", "-no-reboot",
                         "-net", "none", "-cdrom", str(build_medium(folder)), "-boot", "d"], folder, serial_console(folder))
    found = {}
    try:
        if emulator.wait_for_text(STARTED, 60):
            time.sleep(3)  # it has ports, grants and tables by then
            found = run_gdb(folder, emulator)
    except subprocess.TimeoutExpired:
        print(f"no end within {SECONDS} s: {folder / 'gdb.log'}")
    finally:
        emulator.close()
    said = iter(re.findall(r"An invariant does not hold:\s*\(STREAK\) (.*)", emulator.log.read_bytes().decode(errors="replace")))
    failed = 0
    for name, case in CASES.items():
        text = next(said, "").strip() if found.get(name) else "nothing was found"
        good = re.search(case[3], text)
        failed += not good
        print(f"{'ok' if good else 'FAIL':4}  {name:26} {text}", flush=True)
    failed += not found.get("whole again")
    print(f"{'ok' if found.get('whole again') else 'FAIL':4}  with all put back, nothing is found")
    print(f"{len(CASES) + 1 - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
