#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Nobody takes what the serial line sends, for longer than the hypervisor waits: the machine goes on without, and when
somebody listens again, he hears it."""
import fcntl
import os
import re
import select
import subprocess
import sys
import tempfile
import time

import run

GUEST = 'fuzz-domu'
DEAF_SECONDS = (10, 40)  # a wait for the transmitter lasts a million reads of its status
SECONDS = 60
LOST = re.compile(rb'^seed 2, ', re.M)  # printed after a second or two
ANSWER = re.compile(rb'^\(STREAK\) d0: \d+ pages', re.M)


def listen(process, pattern, seconds):
    """What the line sends until `pattern` comes, or the time is up."""
    heard, end = b'', time.monotonic() + seconds
    while not pattern.search(heard) and time.monotonic() < end:
        if select.select([process.stdout], [], [], 1)[0]:
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            heard += chunk
    return heard


def say_after(medium, deaf_seconds):
    """What is said after nobody has listened: nothing missing, when the hypervisor still waited; else its answer."""
    process = subprocess.Popen(
        ['qemu-system-x86_64', '-accel', 'tcg', '-m', '256M', '-display', 'none', '-monitor', 'none', '-serial', 'stdio',
         '-no-reboot', '-net', 'none', '-cdrom', medium, '-boot', 'd'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)  # the first lines fill it
        time.sleep(deaf_seconds)
        heard = listen(process, LOST, 5)
        if LOST.search(heard):
            return 'nothing was lost'
        process.stdin.write(b'\x01\x01\x01q')
        process.stdin.flush()
        return 'an answer' if ANSWER.search(listen(process, ANSWER, SECONDS)) else 'no answer'
    finally:
        process.kill()
        process.wait()


def main():
    with tempfile.TemporaryDirectory() as directory:
        medium = run.make_iso(GUEST, os.path.join(run.ROOT, run.IMAGES['streak']), run.make_core(directory), directory, [],
                              'seed=1 calls=1000000000')
        for seconds in DEAF_SECONDS:
            said = say_after(medium, seconds)
            if said != 'nothing was lost':
                break
    good = said == 'an answer'
    print(f"{'ok' if good else 'FAIL':8} serial-stall              {said} after {seconds} s without a listener")
    print(f'{int(good)} passed, {int(not good)} failed')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
