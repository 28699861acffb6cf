#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boots that must end at once, with a line that says what was expected and what was found."""
import lzma
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import run

SECONDS = 60


def elf_without_notes(directory):
    """A program like any other: the test guest's code without what makes it a Xen kernel."""
    path = directory / 'no-notes.elf'
    subprocess.run(['objcopy', '--strip-all', '--remove-section=.note*', f'{run.ROOT}/build/guests/traps.elf', str(path)],
                   check=True, stderr=subprocess.DEVNULL)
    return path


def text_file(directory):
    path = directory / 'kernel.txt'
    path.write_text('This is not a kernel. ' * 500)
    return path


def guest(_):
    return pathlib.Path(run.ROOT) / 'build/guests/traps.elf'


def bzimage_with_sha256(directory):
    """A kernel's payload with a check sum that Linux's own decoder doesn't know (Documentation/x86/boot.rst: the header)."""
    elf = guest(directory).read_bytes()
    payload = lzma.compress(elf, check=lzma.CHECK_SHA256) + struct.pack('<I', len(elf))
    setup = bytearray(1024)
    setup[0x1f1] = 1
    struct.pack_into('<H', setup, 0x1fe, 0xaa55)
    struct.pack_into('<4sH', setup, 0x202, b'HdrS', 0x20f)
    struct.pack_into('<II', setup, 0x248, 0, len(payload))
    path = directory / 'bzImage'
    path.write_bytes(setup + payload)
    return path


# name, dom0's kernel, options of the hypervisor, options of QEMU, what it has to say
CASES = (
    ('no-kernel', None, '', (), "dom0's kernel: a module2 line expected in GRUB's menu entry, none found"),
    ('no-notes', elf_without_notes, '', (), "(notes): expected ELF notes of owner Xen, found none"),
    ('not-a-kernel', text_file, '', (), "dom0's kernel: neither an ELF file nor a bzImage"),
    ('xz-sha256', bzimage_with_sha256, '', (), 'for this kernel compression (xz check): expected 0x4, found 0xa'),
    ('little-memory', guest, 'dom0_mem=8M', (), 'memory for dom0: at least 16 MiB expected, 8 MiB found'),
    ('no-long-mode', guest, '', ('-cpu', 'qemu32'), 'Streak: this processor has no 64-bit mode'),
    ('no-acpi', guest, '', ('-no-acpi',), 'ACPI: a root pointer expected, none found'),
)


def make_iso(name, kernel, options, core, directory):
    tree = directory / name
    (tree / 'boot/grub').mkdir(parents=True)
    files = {'boot/grub/core.img': core, 'boot/hv.gz': os.path.join(run.ROOT, run.IMAGES['streak'])}
    module = ''
    if kernel:
        files['boot/kernel'] = kernel(directory)
        module = 'module2 --nounzip /boot/kernel'
    for to, path in files.items():
        (tree / to).write_bytes(pathlib.Path(path).read_bytes())
    (tree / 'boot/grub/grub.cfg').write_text(
        'serial --unit=0 --speed=115200\nterminal_output serial\nset timeout=0\n'
        f'multiboot2 /boot/hv.gz {run.COMMAND_LINE} {options}\n{module}\nboot\n')
    iso = directory / f'{name}.iso'
    subprocess.run(['xorriso', '-as', 'mkisofs', '-quiet', '-R', '-b', 'boot/grub/core.img', '-no-emul-boot',
                    '-boot-load-size', '4', '-boot-info-table', '-o', str(iso), str(tree)],
                   check=True, stderr=subprocess.DEVNULL)
    return iso


def says(iso, options, wanted, log):
    """Is the wanted text on the serial line before the time is over?"""
    with open(log, 'wb') as output:
        machine = subprocess.Popen(
            ['qemu-system-x86_64', '-accel', 'tcg', '-m', '256M', '-display', 'none', '-monitor', 'none', '-serial', 'stdio',
             '-no-reboot', '-net', 'none', '-cdrom', str(iso), '-boot', 'd', *options],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        end = time.monotonic() + SECONDS
        found = False
        while not found and time.monotonic() < end:
            time.sleep(0.2)
            over = machine.poll() is not None
            found = wanted in log.read_text(errors='replace').replace('\r', '')
            if over:
                break
        machine.kill()
        machine.wait()
    return found


def main():
    failed = 0
    logs = pathlib.Path(run.ROOT) / 'build/logs'
    logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        directory = pathlib.Path(work)
        core = run.make_core(work)
        for name, kernel, options, qemu, wanted in CASES:
            log = logs / f'boot-error-{name}.log'
            good = says(make_iso(name, kernel, options, core, directory), qemu, wanted, log)
            print(f'{"SUCCESS" if good else "FAILURE":8} {name:25} {wanted if good else f"not in {log}: {wanted}"}', flush=True)
            failed += not good
    print(f'{len(CASES) - failed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
