# SPDX-License-Identifier: GPL-2.0-only
"""What the toolstack's commands cost in dom0, beside fork and exec of a program that does nothing (dom0/tests/bench.sh)."""
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import dom0_image  # noqa: E402
import host  # noqa: E402
import iso  # noqa: E402
from cases import DOM0_OPTIONS  # noqa: E402
from machine import Machine, Run, qemu_command  # noqa: E402

FIGURE = re.compile(r"^BENCH (\S+): (\d+)", re.MULTILINE)
MOST_SECONDS = 900
# Two hundred records and logs beside an unpacked kernel: dom0's root file system is half of its memory.
HV_OPTIONS = "console=com1,vga com1=115200,8n1 dom0_mem=768M,max:768M"


def figures():
    """{what: instructions, bytes or KiB}"""
    with tempfile.TemporaryDirectory(dir=host.BUILD) as work:
        folder = pathlib.Path(work)
        medium = iso.build(folder / "bench.iso", host.hypervisor("streak"), HV_OPTIONS,
                           [iso.Module(host.cached_kernel(), f"{DOM0_OPTIONS} streak.test=bench"),
                            iso.Module(dom0_image.build("toolstack"))])
        machine = Machine(memory_mib=2048, extra=["-icount", "shift=0,sleep=off"])
        run = Run(qemu_command(machine, medium, folder / "scratch"), host.BUILD / "logs/bench-toolstack.log")
        try:
            run.wait_end(MOST_SECONDS)
        finally:
            run.close()
    if "TEST bench: ok" not in run.text or ": FAIL" in run.text:
        sys.exit(f"the bench of the toolstack failed: {run.log_path}")
    return {name: int(count) for name, count in FIGURE.findall(run.text)}
