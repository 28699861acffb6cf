#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boots Debian's kernel as dom0 in QEMU, case by case (cases.py), and judges the serial log.

A case passes when its test script printed a verdict and none is FAIL, the kernel and the hypervisor complained
of nothing, and the machine ended the way the case says. Logs: build/logs/system-HV-NAME.log.
"""
import argparse
import concurrent.futures
import hashlib
import http.server
import os
import pathlib
import random
import re
import sys
import threading
import time

import cores
import dom0_image
import host
import iso
import traces
from cases import CASES, Monitor, DOM0_OPTIONS, HV_OPTIONS
from machine import Machine, Run, log_directory, qemu_command

TROUBLE = re.compile(
    r"kernel BUG|\bWARNING: |Call Trace|\bOops\b|\bpanic\b(?![=_])|double fault|soft lockup|hard LOCKUP|rcu_\w+ detected"
    r"|assertion .*failed|(?-i:BUG: )|INFO: task .* blocked|Out of memory", re.I)
# What the incumbent prints on a healthy machine.
HARMLESS = {"xen": re.compile(r"WARNING: (CONSOLE OUTPUT|.*hypervisor binary|.*Spectre)|\(XEN\).*nmi_watchdog", re.I), "streak": None}
JUDGES = {"cores": cores, "traces": traces}  # of disks
DISK_MIB = 32
CHECKED_MIB = 8
HYPERVISOR = range(0xffff800000000000, 0xffff880000000000)
M2P_END = 0xffff804000000000
MOST_FOR_ENTRY = 32 * 4096


class FileServer:
    """Serves `content` on the loopback interface; answers an upload with its SHA-256."""

    def __init__(self, content):
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(content)

            def do_POST(self):
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(hashlib.sha256(sent).hexdigest().encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        """As the guest sees it: the emulator's user network maps its gateway to the host's loopback."""
        return f"http://10.0.2.2:{self.server.server_address[1]}/file"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Attempt:
    """One run of one case."""

    def __init__(self, case, hypervisor, suffix="", echo=None):
        self.case = case
        self.hypervisor = hypervisor
        self.name = f"system-{hypervisor}-{case.name}{suffix}"
        self.work = host.BUILD / "system"
        self.work.mkdir(parents=True, exist_ok=True)
        self.echo = echo
        self.log = log_directory() / f"{self.name}.log"
        self.content = random.Random(case.name).randbytes(DISK_MIB << 20 if case.disk else 1 << 20)
        self.disk = self.work / f"{self.name}.disk" if case.disk else None
        self.server = FileServer(self.content) if case.nic else None

    def dom0_command_line(self):
        case = self.case
        words = [DOM0_OPTIONS, f"streak.test={case.test}", f"streak.cpus={case.dom0_cpus or case.smp}", case.dom0]
        if self.hypervisor == "streak":
            words.append("streak.extra=.0-streak")
        if self.disk:
            checked = self.content[:CHECKED_MIB << 20]
            words += [f"streak.disk={case.disk}", f"streak.sha256={hashlib.sha256(checked).hexdigest()}"]
        if self.server:
            words += [f"streak.nic={case.nic.replace('-', '_')}", f"streak.url={self.server.url()}",
                      f"streak.sha256={hashlib.sha256(self.content).hexdigest()}"]
        return " ".join(filter(None, words))

    def build_iso(self):
        stock = self.hypervisor != "streak" or self.case.stock_kernel
        kernel = host.kernel()[0] if stock else host.cached_kernel()
        image = dom0_image.build(self.case.image)
        modules = [iso.Module(kernel, self.dom0_command_line()), iso.Module(image)]
        return iso.build(self.work / f"{self.name}.iso", host.hypervisor(self.hypervisor),
                         f"{HV_OPTIONS} {self.case.hv}".strip(), modules)

    def machine(self):
        case = self.case
        return Machine(case.machine, case.firmware, case.smp, case.cpu, case.memory_mib,
                       {case.disk: self.disk} if self.disk else {}, [case.nic] if case.nic else [], reboots=case.ends == "twice")

    def run(self):
        """List of what was wrong; empty when the case passed."""
        medium = self.build_iso()
        if self.disk:
            judge = JUDGES.get(self.case.judge)
            self.disk.write_bytes(b"" if judge else self.content)
            os.truncate(self.disk, judge.DISK_MIB << 20 if judge else len(self.content))
        run = Run(qemu_command(self.machine(), medium, self.work / self.name), self.log, self.echo)
        deadline = time.monotonic() + self.case.seconds
        problems = []
        try:
            problems += self.type_lines(run, deadline)
            if self.case.guest_sees:
                problems += self.look_at_tables(run, deadline)
            if not run.wait_end(deadline - time.monotonic()):
                problems.append(f"not ended after {self.case.seconds} s")
                run.ask_why_it_hangs()
        finally:
            run.close()
            if self.server:
                self.server.close()
        problems += self.judge(run)
        if self.disk:
            problems += self.judge_disk()
        if not problems:
            for path in (medium, self.disk, self.work / f"{self.name}.vars"):
                if path:
                    path.unlink(missing_ok=True)
        return problems

    def type_lines(self, run, deadline):
        position = 0
        for pattern, text in self.case.typing:
            position = run.wait_for(pattern, deadline - time.monotonic(), position)
            if position is None:
                return [f"never saw {pattern!r}"]
            if isinstance(text, Monitor):
                run.ask("human-monitor-command", **{"command-line": text})
            else:
                run.send(text)
        return []

    def look_at_tables(self, run, deadline):
        """Stops the machine now and then while dom0 runs, and adds up what there is of the hypervisor but the M2P."""
        run.wait_for("Linux version", deadline - time.monotonic())
        found = []
        while len(found) < 10 and time.monotonic() < deadline and run.process.poll() is None:
            time.sleep(0.2)
            for cpu in range(self.case.smp):
                mappings = run.user_mappings(cpu)
                if mappings:
                    found.append(sum(size for at, size in mappings if at in HYPERVISOR and at >= M2P_END))
        if not found:
            return ["never stopped in dom0"]
        small = max(found) <= MOST_FOR_ENTRY if self.case.guest_sees == "entry" else min(found) <= MOST_FOR_ENTRY
        return [] if small == (self.case.guest_sees == "entry") else [
            f"a guest is to see {self.case.guest_sees}: {min(found)} to {max(found)} bytes in {len(found)} looks"]

    def judge(self, run):
        case, text, problems = self.case, run.text, []
        problems += [f"QEMU: {line}" for line in run.stderr.splitlines() if "warning:" not in line]
        verdicts = dict(re.findall(r"^(?:.*\] )?TEST (\S+): (ok|FAIL.*)$", text, re.M))
        if not verdicts and case.ends != "panic":
            problems.append("no verdict of the test script")
        problems += [f"{name}: {verdict}" for name, verdict in verdicts.items() if verdict != "ok"]
        problems += [f"{marker}: no verdict" for marker in case.markers if marker not in verdicts]
        problems += [f"log lacks {pattern!r}" for pattern in case.log_has if not re.search(pattern, text, re.M)]
        harmless = HARMLESS[self.hypervisor]
        for line in text.splitlines() if case.ends not in ("panic", "twice") else []:
            if TROUBLE.search(line) and "ommand line:" not in line and not (harmless and harmless.search(line)):
                problems.append(f"log: {line.strip()[:160]}")
        wanted = {"poweroff": ("guest-shutdown", "reboot: Power down"),
                  "reboot": ("guest-reset", "reboot: Restarting system"),
                  "panic": ("guest-reset", "panic: "),
                  "twice": ("guest-shutdown", "reboot: Power down")}[case.ends]
        if run.reason != wanted[0] or wanted[1] not in text:
            problems.append(f"wanted {case.ends}, machine ended with {run.reason}")
        return problems[:12]

    def judge_disk(self):
        if self.case.judge:
            return JUDGES[self.case.judge].judge(self.disk)
        mib = 1 << 20
        first, second = self.content[:4 * mib], self.content[4 * mib:8 * mib]
        expected = first + second + second + first + self.content[16 * mib:]
        return [] if self.disk.read_bytes() == expected else ["the disk's content is wrong after power-off"]


def selected(options):
    names = [name for group in options.case for name in group.split(",")]
    cases = [case for case in CASES if (case.name in names if names else options.suite in case.suites)]
    missing = set(names) - {case.name for case in cases}
    if missing:
        raise SystemExit(f"no such case: {', '.join(sorted(missing))}")
    return [case for case in cases if names or case.only in ("", options.hv)]


def attempt(case, suffix, options):
    started = time.monotonic()
    try:
        problems = Attempt(case, options.hv, suffix, sys.stdout if options.echo else None).run()
    except (OSError, SystemExit) as error:
        problems = [str(error)]
    return case.name + suffix, problems, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hv", choices=("streak", "xen"), default="streak")
    parser.add_argument("--suite", choices=("smoke", "full"), default="full")
    parser.add_argument("--case", action="append", default=[], help="only these cases (comma-separated)")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="machines at the same time")
    parser.add_argument("--echo", action="store_true", help="serial console on standard output too")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    cases = selected(options)
    if options.list:
        for case in cases:
            print(f"{case.name:18} {case.test:11} {case.machine} {case.firmware} smp={case.smp} {case.cpu} "
                  f"{case.disk} {case.nic}")
        return 0
    for kind in sorted({case.image for case in cases}):
        dom0_image.build(kind)
    host.hypervisor(options.hv)
    work = [(case, f".{number}" if options.repeat > 1 else "")
            for number in range(1, options.repeat + 1) for case in cases]
    work.sort(key=lambda item: item[0].image == "")  # the longest first
    failed = 0
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(attempt, case, suffix, options) for case, suffix in work]
        for future in concurrent.futures.as_completed(futures):
            name, problems, seconds = future.result()
            failed += bool(problems)
            print(f"{'FAIL' if problems else 'ok':4}  {name:20} {seconds:6.1f} s", flush=True)
            for problem in problems:
                print(f"        {problem}")
            if problems:
                print(f"        log: {log_directory() / f'system-{options.hv}-{name}.log'}", flush=True)
    print(f"system tests on {options.hv}: {time.monotonic() - started:.0f} s")
    print(f"{len(work) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
