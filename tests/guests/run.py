#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boots PV test guests as dom0 straight from GRUB and collects their verdicts.

Each guest prints one line `VERDICT: SUCCESS|SKIP|ERROR|FAILURE name: text`; a guest without that line
crashed or hung. A line `// qemu: OPTIONS` in a guest's main.cpp adds QEMU options, `// hv: OPTIONS` adds to
the hypervisor's command line, and each word of `// again: OPTION…` makes one more run with that option, GUEST+OPTION.
`// module: NAME` boots with tests/guests/modules/NAME as the initial RAM disk: a kernel that the guest starts itself.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests/system'))
from machine import Run  # noqa: E402

IMAGES = {'streak': 'build/streak.gz', 'xen': '/boot/xen-4.17-amd64.gz'}
COMMAND_LINE = 'console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all noreboot dom0_mem=64M'
GRUB_DIR = '/usr/lib/grub/i386-pc'
GRUB_MODULES = ['biosdisk', 'iso9660', 'multiboot2', 'gzio', 'serial', 'terminal', 'configfile', 'normal']
VERDICT = re.compile(r'VERDICT: (SUCCESS|SKIP|ERROR|FAILURE) (\S+): (.*)\n')
HALTED = re.compile(r"\(STREAK\) Halted, as 'noreboot' asks")  # after a panic
POWER_OFF_SECONDS = {'streak': 20, 'xen': 0.5}  # Xen halts where it can't power the machine off


def options_of(guest, key):
    """The words after `// key:` in the guest's source."""
    path = os.path.join(ROOT, 'tests/guests', guest, 'main.cpp')
    with open(path, encoding='utf-8') as source:
        return [w for line in source if line.startswith(f'// {key}:') for w in line.split(':', 1)[1].split()]


def make_core(directory):
    """GRUB as an El Torito image that reads /boot/grub/grub.cfg from the CD."""
    core = os.path.join(directory, 'core.img')
    subprocess.run(['grub-mkimage', '-O', 'i386-pc-eltorito', '-d', GRUB_DIR, '-p', '/boot/grub', '-o', core,
                    *GRUB_MODULES], check=True)
    return core


def make_iso(label, hypervisor, core, directory, extra, append):
    """A BIOS-bootable CD with the hypervisor and one guest; returns its path."""
    tree = os.path.join(directory, label)
    guest = label.partition('+')[0]
    os.makedirs(os.path.join(tree, 'boot/grub'))
    shutil.copy(core, os.path.join(tree, 'boot/grub/core.img'))
    shutil.copy(hypervisor, os.path.join(tree, 'boot/hv.gz'))
    subprocess.run(['strip', '-o', os.path.join(tree, 'boot/guest.elf'),
                    os.path.join(ROOT, 'build/guests', guest + '.elf')], check=True)
    module = ''
    for name in options_of(guest, 'module'):
        subprocess.run(['strip', '-o', os.path.join(tree, 'boot/module.elf'),
                        os.path.join(ROOT, 'build/guests/modules', name + '.elf')], check=True)
        module = 'module2 --nounzip /boot/module.elf\n'
    with open(os.path.join(tree, 'boot/grub/grub.cfg'), 'w', encoding='utf-8') as config:
        config.write('serial --unit=0 --speed=115200\nterminal_output serial\nset timeout=0\n'
                     f'multiboot2 /boot/hv.gz {COMMAND_LINE} {" ".join(extra)}\n'
                     f'module2 --nounzip /boot/guest.elf {guest} {append}\n{module}boot\n')
    iso = tree + '.iso'
    subprocess.run(['xorriso', '-as', 'mkisofs', '-quiet', '-R', '-b', 'boot/grub/core.img', '-no-emul-boot',
                    '-boot-load-size', '4', '-boot-info-table', '-o', iso, tree],
                   check=True, stderr=subprocess.DEVNULL)
    return iso


class Echo:
    """The terminal, for what the guest prints."""

    def __init__(self):
        self.line = ''

    def write(self, text):
        *lines, self.line = (self.line + text).split('\n')
        for line in lines:
            if not line.startswith(('(STREAK)', '\x1b')):
                print('    ' + line, flush=True)

    def flush(self):
        pass


def boot(command, log, timeout, echo, hypervisor):
    """(kind, text) of one run, followed until the end of the machine or the timeout. A panic after the verdict counts."""
    started = time.monotonic()
    run = Run(command, log, Echo() if echo else None)
    try:
        end = run.wait_for(f'{VERDICT.pattern}|{HALTED.pattern}', timeout)
        if end is None and time.monotonic() - started >= timeout:
            run.ask_why_it_hangs()
            return 'CRASH', f'no verdict within {timeout:.0f} s; beside the log: {log.removesuffix(".log")}.registers'
        if end is None:
            return 'CRASH', f'the machine ended without a verdict (status {run.process.wait()})'
        if not HALTED.search(run.text):
            run.wait_end(POWER_OFF_SECONDS[hypervisor])
    finally:
        run.close()
    if HALTED.search(run.text):
        return 'CRASH', 'the hypervisor has panicked: ' + log
    kind, _, text = VERDICT.search(run.text).groups()
    return kind, text.strip()


def run_guest(label, arguments, hypervisor, core, directory):
    guest, _, option = label.partition('+')
    log = os.path.join(ROOT, 'build/logs', f'guests-{arguments.hv}-{label}.log')
    if not os.path.exists(os.path.join(ROOT, 'build/guests', guest + '.elf')):
        return label, ('ERROR', 'not built: make -f tests/guests/guests.mk guests'), 0.0, None
    words = [*options_of(guest, 'hv'), option, arguments.hv_append]
    iso = make_iso(label, hypervisor, core, directory, words, arguments.append)
    command = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', arguments.cpu, '-m', arguments.memory,
               '-display', 'none', '-no-reboot', '-net', 'none',
               '-cdrom', iso, '-boot', 'd', *options_of(guest, 'qemu'), *arguments.qemu.split()]
    started = time.monotonic()
    verdict = boot(command, log, arguments.timeout, arguments.echo, arguments.hv)
    seconds = time.monotonic() - started
    os.remove(iso)
    return label, verdict, seconds, log


def report(guest, verdict, seconds, log):
    kind, text = verdict
    print(f'{kind:8} {guest:25} {seconds:5.1f} s  {text}', flush=True)
    if log is None:
        return
    with open(log, encoding='utf-8', errors='replace') as lines:
        for line in lines:
            if kind not in ('SUCCESS', 'SKIP') and ('FAIL:' in line or line.startswith('seed=')) or line.startswith('BENCH '):
                print('         ' + line.rstrip(), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description='boot the PV test guests as dom0')
    parser.add_argument('--hv', choices=IMAGES, default='streak')
    parser.add_argument('--image', help='hypervisor image instead of the usual one')
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('--cpu', default='qemu64')
    parser.add_argument('--memory', default='256M')
    parser.add_argument('--timeout', type=float, default=60)
    parser.add_argument('--hv-append', default='', help="more words on the hypervisor's command line, e.g. xpti=yes")
    parser.add_argument('--qemu', default='', help='more QEMU options')
    parser.add_argument('--append', default='', help="more words on the guest's command line, e.g. seed=N")
    parser.add_argument('--echo', action='store_true', help='what the guest prints goes to the terminal, too')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('guests', nargs='*', metavar='NAME')
    return parser.parse_args()


def all_guests():
    folder = os.path.join(ROOT, 'tests/guests')
    names = sorted(n for n in os.listdir(folder) if os.path.exists(os.path.join(folder, n, 'main.cpp')))
    return [label for n in names if not n.startswith('bench') for label in (n, *(f'{n}+{o}' for o in options_of(n, 'again')))]


def main():
    arguments = parse_arguments()
    guests = arguments.guests or all_guests()
    if arguments.list:
        print('\n'.join(guests))
        return 0
    hypervisor = os.path.join(ROOT, arguments.image or IMAGES[arguments.hv])
    os.makedirs(os.path.join(ROOT, 'build/logs'), exist_ok=True)
    counts = {'SUCCESS': 0, 'SKIP': 0}
    with tempfile.TemporaryDirectory() as directory:
        core = make_core(directory)
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            jobs = [pool.submit(run_guest, g, arguments, hypervisor, core, directory) for g in guests]
            for job in concurrent.futures.as_completed(jobs):
                guest, verdict, seconds, log = job.result()
                report(guest, verdict, seconds, log)
                counts[verdict[0]] = counts.get(verdict[0], 0) + 1
    failed = len(guests) - counts['SUCCESS'] - counts['SKIP']
    print(f'{counts["SUCCESS"]} passed, {failed} failed, {counts["SKIP"]} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
