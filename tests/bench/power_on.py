# SPDX-License-Identifier: GPL-2.0-only
"""Instructions from power-on to the first one of dom0 and to its /init, as the hypervisors' own log tells them.

QEMU with `-icount shift=0` counts an instruction as one tick of the TSC, and `console_timestamps=raw` puts the TSC in
front of each line: the first line is the hypervisor's start, the last of its set-up is the hand-over. Linux' clock begins with
its first instructions and counts them, too.
"""
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import dom0_image  # noqa: E402
import host  # noqa: E402
import iso  # noqa: E402
from machine import Machine, Run, qemu_command  # noqa: E402

OPTIONS = "console=com1 com1=115200,8n1 loglvl=all console_timestamps=raw dom0_mem=512M"
STAMP = re.compile(r"^\((?:XEN|STREAK)\) \[([0-9a-f]{16})\]", re.MULTILINE)
HAND_OVER = re.compile(STAMP.pattern + r" (?:starting dom0|Freed \d+kB init memory).*\n", re.MULTILINE)
INIT = re.compile(r"^\[ *(\d+)\.(\d{6})\] Run /init as init process", re.MULTILINE)
MOST_SECONDS = 300


def measure(hypervisor, kernel, folder):
    """Instructions until the hypervisor runs, until dom0 does, and until its /init."""
    initrd = dom0_image.build()
    medium = iso.build(folder / "power-on.iso", host.hypervisor(hypervisor), OPTIONS,
                       [iso.Module(kernel, "console=hvc0"), iso.Module(initrd)])
    machine = Machine(extra=["-icount", "shift=0,sleep=off"])
    run = Run(qemu_command(machine, medium, folder / "scratch"), host.BUILD / f"logs/power-on-{hypervisor}.log")
    try:
        if run.wait_for(HAND_OVER.pattern, MOST_SECONDS) is None or run.wait_for(INIT.pattern, MOST_SECONDS) is None:
            sys.exit(f"{hypervisor}: dom0 did not start: {run.log_path}")
        start, end, init = STAMP.search(run.text)[1], HAND_OVER.search(run.text)[1], INIT.search(run.text)
    finally:
        run.process.kill()
        run.process.wait()
    return int(start, 16), int(end, 16), int(end, 16) + int(init[1]) * 10**9 + int(init[2]) * 1000


def figures():
    """{what: (Streak's millions of instructions, the incumbent's)}; the incumbent only knows the stock image."""
    with tempfile.TemporaryDirectory(dir=host.BUILD) as work:
        folder = pathlib.Path(work)
        stock, _ = host.kernel()
        xen = measure("xen", stock, folder)
        packed = measure("streak", stock, folder)
        cached = measure("streak", host.cached_kernel(), folder)
    return {"hypervisor_runs": (packed[0], xen[0]), "dom0_runs_stock_image": (packed[1], xen[1]),
            "dom0_runs_cached_kernel": (cached[1], xen[1]), "init_runs_stock_image": (packed[2], xen[2]),
            "init_runs_cached_kernel": (cached[2], xen[2])}
