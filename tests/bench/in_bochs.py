# SPDX-License-Identifier: GPL-2.0-only
"""The guest `bench` in Bochs, whose time stamp counter counts instructions, too; of another processor than QEMU's, with SMAP."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bochs"))
import emulator  # noqa: E402
from machine import log_directory  # noqa: E402

LINE = re.compile(r"BENCH (\S+) (\d+)\r?\n")
MOST_SECONDS = 900


def figures(hypervisor):
    """{operation: instructions}"""
    serial = log_directory() / f"bochs-{hypervisor}-bench.log"
    serial.unlink(missing_ok=True)
    config = emulator.write_config(emulator.FOLDER / f"{hypervisor}-bench.bochsrc",
                                   emulator.guest_medium(hypervisor, "bench"), serial)
    commands = config.with_suffix(".commands")
    commands.write_text("c\n")
    with open(config.with_suffix(".out"), "wb") as output:
        bochs = subprocess.Popen(["bochs", "-q", "-f", str(config), "-rc", str(commands)], stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        end, text = time.monotonic() + MOST_SECONDS, ""
        while bochs.poll() is None and time.monotonic() < end and "VERDICT" not in text:
            time.sleep(1)
            text = serial.read_text(errors="replace") if serial.exists() else ""
        if bochs.poll() is None:
            os.killpg(bochs.pid, signal.SIGKILL)
        bochs.wait()
    if "VERDICT: SUCCESS" not in text:
        sys.exit(f"the bench guest failed in Bochs on {hypervisor}: {serial}")
    return {name: int(count) for name, count in LINE.findall(text)}
