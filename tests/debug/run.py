#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make test-debug`: every command of packaging/gdb on small kernels in QEMU, and a recording that is stepped backwards.

A session is one machine under one gdb in batch mode: a list of gdb's commands, each with the patterns its output must match.
What gdb said is kept in build/logs/debug-NAME.log.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import time

import session
from session import ROOT, Emulator, What, folder_of, gdb_command, host, serial_console

sys.path.insert(0, str(ROOT / "packaging/gdb"))
from streak_gdb import kallsyms  # noqa: E402

MARK = "@@@"
SECONDS = 100
COMMANDS = ("streak-bt", "streak-domains", "streak-evtchn", "streak-grants", "streak-locks", "streak-page", "streak-runq",
            "streak-symbols", "streak-vcpus")
CONCLUDE = ["tbreak guest::conclude", "continue"]

# name: (guest, options of the hypervisor, [(command of gdb, patterns …)])
LIVE = {
    "commands": ("events-2l", "", [
        ("streak", *[f"^{name} " for name in COMMANDS]),
        *[(f"help {name}", "Usage: " + name) for name in COMMANDS],
        ("streak-domains", "Streak is not in memory here"),
        ("tbreak streak_main",), ("continue", "streak_main"),
        ("streak-domains", "there are no domains yet"),
        ("streak-bt", r"^#0 .* streak_main \(hypervisor/init/main.cpp:\d+\)"),
        ("tbreak streak::evtchn::PortTable::alloc_unbound",), ("continue", "alloc_unbound"),
        ("streak-locks", r"^  d0\.event_lock +held, 0 waiting$", r"^1 of \d{3,} locks held$"),
        ("streak-bt", r"^#0 .* streak::evtchn::PortTable::alloc_unbound",
         r"^#\d+ .* streak::hypercall::alloc_unbound \(hypervisor/hypercall/event_channel_op\.cpp:\d+\)",
         r"^ +---- d0v0 entered by hypercall 32 \(event_channel_op\); guest kernel mode$",
         r"^#\d+ +ffffffff8\w{7}  hypercall_page\+", r"^#\d+ .* guest::alloc_unbound\(", r"^#\d+ .* guest::run\(\)\+",
         r"^#\d+ .* guest_entry\+"),
        ("streak-vcpus", r"rip ffffffff8\w{7} hypercall_page\+0x\w+$"),
        ("tbreak streak::evtchn::PortTable::take",), ("continue", "PortTable::take"),
        ("finish", r"Value returned is \$\d+ = a value = \{value = EvtchnPort\(1\)\}"),
        ("tbreak syscall_entry",), ("continue", "syscall_entry"),
        ("streak-bt", r"^#0 .* syscall_entry \(entry code\)", r"^#1 .* hypercall_page\+", r"^#2 .* guest::"),
        ("stepi 12",),
        ("streak-bt", r"^#0 .* \(entry code\)", r"^#1 .* hypercall_page\+", r"^#2 .* guest::"),
        ("tbreak streak::evtchn::PortTable::bind_vcpu if port.value_ == 3",), ("continue", "bind_vcpu"),
        ("streak-evtchn", "^d0: 2-level event channels", r"^ +1 ipi +v0", r"^ +2 virq +VIRQ_DEBUG +v0", r"^ +3 virq +VIRQ_DOM_EXC +v0"),
        ("streak-bt", r"^#\d+ .* guest::bind_vcpu\("),
        *[(command,) for command in CONCLUDE],
        ("streak-domains", r"^d0 \(privileged\): alive, 16384 frames of 16384", r"^  d0v0 +running +on CPU 0, kernel mode"),
        ("streak-vcpus", r"rip \w{16} guest::conclude\(\)  \(live\)", r"cr3 kernel 0x\w+000, user 0x0"),
        ("streak-bt", r"d0v0 runs; guest kernel mode", r"^#0 .* guest::conclude\(\)$", r"^#1 .* guest_start\+", "^#2 .* guest_entry"),
        ("streak-bt 0", r"^d0v0: runs now$", r"^#0 .* guest::conclude\(\)$"),
        ("streak-bt 7", "there is no domain 7"),
        ("streak-runq", r"^CPU 0: runs d0v0, 0 waiting, 0 throttled"),
        ("streak-grants 0", r"^d0: grant table version 1, \d+ of 64 frames"),
        ("streak-locks", r"^0 of \d{3,} locks held"),
        ("streak-page $streak_vcpu(0, 0)->cr3_kernel >> 12", r"^frame 0x\w+, machine address 0x\w+000: d0's$",
         r"^  count \d+, allocated$", r"^  type l4, \d+ uses, pinned, validated$", r"^  pfn 0x\w+, "),
        ("streak-page 0xfffffff", "is no RAM"),
        ("streak-page nonsense", "is no frame number"),
        ("streak-symbols /dev/null", "/dev/null names no functions"),
        ("print $streak_domain(0)->id", r"= DomId\(0\)$"),
        ("print $streak_domain(0)->page_lock", "= free$"),
        ("print $streak_domain(0)->dirty_cpus", "= CPUs 0$"),
        ("print $streak_domain(0)->memory_map", "= nothing$"),
        ("print $streak_domain(0)->pages", r"\{id = DomId\(0\), lock = free, first = \d+, total = 16384, "),
        ("print streak::arch::online_count", "= 1$"),
        ("tbreak streak::shut_down",), ("continue", "shut_down"),
        ("streak-bt", r"d0v0 entered by hypercall 29 \(sched_op\)", r"^#\d+ .* guest::conclude\(\)\+"),
    ]),
    # The guest's tables map the entry code only; the commands find the rest.
    "isolation": ("grants-v1", "xpti=yes", [
        *[(command,) for command in CONCLUDE],
        ("print *(long*)&hypercall_table", "Cannot access memory"),
        ("print/x $cr3",),
        ("streak-domains", r"^  d0v0 +running +on CPU 0"),
        ("streak-bt", r"^#0 .* guest::conclude\(\)$", r"^#1 .* guest_start\+"),
        ("streak-grants", r"^  offers 20: frame 0x\w+ to d0, in use r 0 w 1$", r"^  mapped \d+: grant 20 of d0, frame 0x\w+, host$"),
        ("print/x $cr3",),
        ("tbreak xpti_syscall_entry",), ("continue",),
        ("streak-bt", r"^#0 .* xpti_syscall_entry \(entry code\)", r"^#1 .* hypercall_page\+", r"^#2 .* guest::"),
        ("tbreak syscall_on_full_tables",), ("continue",),
        ("streak-bt", r"^#1 .* hypercall_page\+", r"^#2 .* guest::"),
    ]),
    "processors": ("second-vcpu", "", [
        *[(command,) for command in CONCLUDE],
        ("streak-runq", "^CPU 0: runs ", "^CPU 1: runs "),
        ("streak-vcpus 0", "^  d0v0 ", "^  d0v1 "),
        ("thread apply all streak-bt", r"Thread 1\.1 ", r"Thread 1\.2 ", r"guest::conclude\(\)", r"CPU \d runs no guest|idle_loop|guest::"),
    ]),
}

BACKWARDS = [
    *[(command,) for command in CONCLUDE],
    ("print/x $rip",),
    ("monitor info replay", r"instruction count = \d+"),
    ("reverse-stepi",),
    ("streak-bt", r"^#0 .* guest_start\+"),
    ("stepi",),
    ("print/x $rip",),
    ("break streak::hypercall::event_channel_op",),
    ("reverse-continue", "Breakpoint .* streak::hypercall::event_channel_op"),
    ("print/x $rip",),
    ("monitor info replay", r"instruction count = \d+"),
    ("streak-bt", r"d0v0 entered by hypercall 32 \(event_channel_op\)", r"^#\d+ .* guest::run\(\)"),
    ("streak-evtchn", "^d0: 2-level event channels"),
]


class Checks:
    """Counts and prints verdicts."""

    def __init__(self):
        self.passed = self.failed = 0

    def expect(self, good, name, text=""):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print(f"FAIL  {name}" + "".join(f"\n        {line}" for line in text.strip().splitlines()[:20]), flush=True)
        return good


def converse(name, command, script):
    """The output of each command of the script; None for those gdb did not come to."""
    for at, (line, *_) in enumerate(script):
        command += ["-ex", f"echo \\n{MARK} {at}\\n", "-ex", line]
    try:
        made = subprocess.run([*command, "-batch"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=SECONDS)
        text = made.stdout
    except subprocess.TimeoutExpired as expired:
        text = (expired.stdout or b"").decode(errors="replace") + f"\nno end within {SECONDS} s"
    (folder_of("logs") / f"debug-{name}.log").write_text(text)
    parts = re.split(rf"^{MARK} (\d+)$", text, flags=re.M)
    found = dict(zip(map(int, parts[1::2]), parts[2::2]))
    return [found.get(at) for at in range(len(script))]


def judge(checks, name, script, outputs):
    for (line, *patterns), output in zip(script, outputs):
        if output is None:
            return checks.expect(False, f"{name}: gdb did not come to `{line}`")
        for pattern in patterns:
            checks.expect(re.search(pattern, output, re.M), f"{name}: `{line}` shows no {pattern}", output)
        if "Python Exception" in output or "Traceback" in output:
            checks.expect(False, f"{name}: `{line}` stumbles", output)
    return True


def run_live(checks, name):
    guest, append, script = LIVE[name]
    what, folder = What(f"guest:{guest}", append=append), folder_of("debug", name)
    emulator = Emulator([*what.hardware(smp=1), "-cdrom", str(what.medium(folder)), "-boot", "d", "-no-shutdown", "-S"], folder,
                        serial_console(folder))
    try:
        outputs = converse(name, gdb_command(host.BUILD / "streak-syms", what.symbols(), emulator.stub), script)
    finally:
        emulator.close()
    judge(checks, name, script, outputs)
    if name == "isolation" and outputs[-1]:
        registers = [output.strip().partition("= ")[2] for (line, *_), output in zip(script, outputs) if line == "print/x $cr3"]
        checks.expect(len(set(registers)) == 1, "isolation: the guest's CR3 is put back", str(registers))


def run_mismatch(checks):
    """Symbols of another build: nothing but an explanation."""
    what, folder = What("guest:events-2l"), folder_of("debug", "mismatch")
    note, other = folder / "note", folder / "streak-syms"
    subprocess.run(["objcopy", "-O", "binary", "--only-section=.note.gnu.build-id", host.BUILD / "streak-syms", note], check=True)
    note.write_bytes(note.read_bytes()[:-1] + b"\x5a")
    subprocess.run(["objcopy", "--update-section", f".note.gnu.build-id={note}", host.BUILD / "streak-syms", other], check=True)
    script = [(command,) for command in CONCLUDE] + [
        (command, "the symbols do not match", "the machine runs [0-9a-f]{40}") for command in ("streak-domains", "streak-bt", "streak-runq")]
    emulator = Emulator([*what.hardware(smp=1), "-cdrom", str(what.medium(folder)), "-boot", "d", "-no-shutdown", "-S"], folder,
                        serial_console(folder))
    try:
        outputs = converse("mismatch", gdb_command(other, what.symbols(), emulator.stub), script)
    finally:
        emulator.close()
    judge(checks, "mismatch", script, outputs)


def run_record(checks):
    """A recording is the machine's run; going back in it leads to the same place every time."""
    what, folder = What("guest:events-2l"), folder_of("debug", "record")
    command = session.record_machine(what, folder)
    made = subprocess.run([*command, "-monitor", "none", "-serial", "stdio"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=SECONDS).stdout.decode(errors="replace")
    (folder_of("logs") / "debug-record.log").write_text(made)
    if not checks.expect("VERDICT: SUCCESS" in made, "record: no verdict of the guest", made):
        return
    both = []
    for turn in ("first", "second"):
        emulator = session.replay_emulator(folder)
        try:
            outputs = converse(f"replay-{turn}", session.replay_gdb(folder, emulator), BACKWARDS)
        finally:
            emulator.close()
        if not judge(checks, f"replay-{turn}", BACKWARDS, outputs):
            return
        both.append([re.findall(r"(?:= |count = )(\w+)", output) for (line, *_), output in zip(BACKWARDS, outputs)
                     if line in ("print/x $rip", "monitor info replay")])
    checks.expect(both[0] == both[1], "replay: two replays differ", str(both))
    end, before, back = both[0][0], both[0][2], both[0][3]
    checks.expect(end == before and end != back, "replay: a step back and one forward lead to the same place", str(both[0]))
    checks.expect(int(both[0][4][0]) < int(both[0][1][0]), "replay: reverse-continue goes back", str(both[0]))


def run_names(checks):
    """Debian's kernel is stripped, but for the symbols it carries itself."""
    found = kallsyms.functions(host.unpacked_kernel())
    checks.expect(len(found) > 10000, f"names: {len(found)} functions of Linux")
    for name in ("start_kernel", "xen_start_kernel", "do_idle"):
        checks.expect(name in found.values(), f"names: no {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sessions = {**{name: lambda checks, name=name: run_live(checks, name) for name in LIVE}, "mismatch": run_mismatch,
                "record": run_record, "names": run_names}
    parser.add_argument("--session", action="append", choices=sorted(sessions))
    options = parser.parse_args()
    total = Checks()
    for name in options.session or sessions:
        checks, started = Checks(), time.monotonic()
        try:
            sessions[name](checks)
        except (SystemExit, OSError, subprocess.SubprocessError) as error:
            checks.expect(False, f"{name}: {error}")
        print(f"{'FAIL' if checks.failed else 'ok':4}  debug-{name:12} {checks.passed:3} checks {time.monotonic() - started:6.1f} s",
              flush=True)
        total.passed, total.failed = total.passed + checks.passed, total.failed + checks.failed
    print(f"{total.passed} passed, {total.failed} failed")
    return total.failed != 0


if __name__ == "__main__":
    sys.exit(main())
