#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the boot medium in Bochs: the smoke tests, or (--debug) one boot with Bochs' debugger on the terminal.

Bochs is the judge where QEMU's TCG strays from the manuals. Its own BIOS corrupts GRUB's multiboot2 hand-over:
SeaBIOS is used. Serial console: build/logs/bochs-HV-NAME.log; Bochs' own log and port 0xe9 beside it.
"""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
import dom0_image  # noqa: E402
import host  # noqa: E402
import iso  # noqa: E402
from cases import DOM0_OPTIONS  # noqa: E402
from machine import log_directory  # noqa: E402
from run import HARMLESS, TROUBLE  # noqa: E402

# x2APIC and the TSC-deadline timer exist here and not in TCG.
HV_OPTIONS = "console=com1,vga com1=115200,8n1 loglvl=all guest_loglvl=all x2apic dom0_mem=256M,max:256M"
MEMORY_MIB = 512
# name: (script of dom0/tests, seconds)
CASES = {"smoke": ("smoke", 900)}

CONFIG = """\
config_interface: textconfig
display_library: {display}
romimage: file=/usr/share/seabios/bios.bin
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_haswell_4770, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest={memory}, host={memory}
clock: sync=none, time0=utc
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="{iso}", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="{serial}"
port_e9_hack: enabled=1
log: {log}
panic: action=report
error: action=report
info: action=ignore
debug: action=ignore
sound: waveoutdrv=dummy
speaker: enabled=0
private_colormap: enabled=0
"""


def write_config(path, medium, serial, display):
    path.write_text(CONFIG.format(iso=medium, serial=serial, log=path.with_suffix(".bochslog"), memory=MEMORY_MIB,
                                  display=display))
    return path


def build_iso(hypervisor, test):
    dom0 = f"{DOM0_OPTIONS} streak.cpus=1" + (f" streak.test={test}" if test else "")
    dom0 += " streak.extra=.0-streak" if hypervisor == "streak" else ""
    kernel = host.cached_kernel() if hypervisor == "streak" else host.kernel()[0]
    modules = [iso.Module(kernel, dom0), iso.Module(dom0_image.build())]
    return iso.build(host.BUILD / "bochs" / f"{hypervisor}-{test or 'shell'}.iso", host.hypervisor(hypervisor),
                     HV_OPTIONS, modules)


def judge(hypervisor, text, emulator_output):
    text = text.replace("\r", "")
    verdicts = dict(re.findall(r"^(?:.*\] )?TEST (\S+): (ok|FAIL.*)$", text, re.M))
    problems = [] if verdicts else ["no verdict of the test script"]
    problems += [f"{name}: {verdict}" for name, verdict in verdicts.items() if verdict != "ok"]
    harmless = HARMLESS[hypervisor]
    for line in text.splitlines():
        if TROUBLE.search(line) and "ommand line:" not in line and not (harmless and harmless.search(line)):
            problems.append(f"log: {line.strip()[:160]}")
    # Bochs' word counts: the last characters of dom0's may still be in the serial port.
    if "soft power off" not in emulator_output:
        problems.append("dom0 did not power off")
    return problems


def run_case(hypervisor, name):
    test, seconds = CASES[name]
    medium = build_iso(hypervisor, test)
    serial = log_directory() / f"bochs-{hypervisor}-{name}.log"
    serial.unlink(missing_ok=True)
    config = write_config(host.BUILD / "bochs" / f"{hypervisor}-{name}.bochsrc", medium, serial,
                          'rfb, options="timeout=0"')
    commands = config.with_suffix(".commands")
    commands.write_text("c\n")
    output = open(config.with_suffix(".out"), "wb")
    bochs = subprocess.Popen(["bochs", "-q", "-f", str(config), "-rc", str(commands)], stdin=subprocess.DEVNULL,
                             stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + seconds
    powered_off_at = None
    try:
        while bochs.poll() is None and time.monotonic() < deadline:
            time.sleep(1)
            text = serial.read_text(errors="replace") if serial.exists() else ""
            if "reboot: Power down" in text or TROUBLE.search(text.split("streak.cpus")[-1]):
                powered_off_at = powered_off_at or time.monotonic()
                if time.monotonic() > powered_off_at + 20:
                    break
    finally:
        if bochs.poll() is None:
            os.kill(bochs.pid, signal.SIGKILL)
        bochs.wait()
        output.close()
    return judge(hypervisor, serial.read_text(errors="replace") if serial.exists() else "",
                 config.with_suffix(".out").read_text(errors="replace"))


def debug(hypervisor):
    medium = build_iso(hypervisor, "")
    serial = log_directory() / f"bochs-{hypervisor}-debug.log"
    config = write_config(host.BUILD / "bochs/debug.bochsrc", medium, serial, 'rfb, options="timeout=0"')
    print(f"Bochs' debugger: c continues, Ctrl-C stops, b ADDRESS, r, x /4gx ADDRESS, help, q.\n"
          f"Serial console: tail -f {serial}   Screen: a VNC viewer on port 5900.\n"
          f"Addresses: nm -C {host.BUILD / 'streak-syms'}", flush=True)
    os.execvp("bochs", ["bochs", "-q", "-f", str(config)])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hv", choices=("streak", "xen"), default="streak")
    parser.add_argument("--case", action="append", choices=sorted(CASES))
    parser.add_argument("--debug", action="store_true")
    options = parser.parse_args()
    (host.BUILD / "bochs").mkdir(parents=True, exist_ok=True)
    if options.debug:
        debug(options.hv)
    names = options.case or sorted(CASES)
    failed = 0
    for name in names:
        started = time.monotonic()
        problems = run_case(options.hv, name)
        failed += bool(problems)
        print(f"{'FAIL' if problems else 'ok':4}  bochs-{name:14} {time.monotonic() - started:6.1f} s", flush=True)
        for problem in problems[:12]:
            print(f"        {problem}")
    print(f"{len(names) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
