# SPDX-License-Identifier: GPL-2.0-only
"""What the toolstack's commands cost in dom0, beside fork and exec of a program that does nothing (dom0/tests/bench.sh), and
what Debian's xl costs on either hypervisor (bench_xl.sh)."""
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
MIB = 1 << 20
# What bench_xl.sh and the guest's init move.
MOVED = {"disk_read_4k": 4 * MIB, "disk_write_4k": 4 * MIB, "disk_read_64k": 16 * MIB, "disk_write_64k": 16 * MIB,
         "disk_read_1M": 32 * MIB, "disk_write_1M": 32 * MIB, "net_fetch": 32 * MIB, "net_serve": 32 * MIB}


def run(hypervisor, test, image, dom0_mib, memory_mib, guests, seconds=MOST_SECONDS):
    """{what: instructions, bytes or KiB} of a test script in dom0, which needs half of its memory for its file system."""
    with tempfile.TemporaryDirectory(dir=host.BUILD) as work:
        folder = pathlib.Path(work)
        kernel = host.cached_kernel() if hypervisor == "streak" else host.kernel()[0]
        words = f"{DOM0_OPTIONS} streak.test={test} streak.guests={','.join(map(str, guests))}"
        medium = iso.build(folder / "bench.iso", host.hypervisor(hypervisor),
                           f"console=com1,vga com1=115200,8n1 dom0_mem={dom0_mib}M,max:{dom0_mib}M",
                           [iso.Module(kernel, words), iso.Module(dom0_image.build(image))])
        machine = Machine(memory_mib=memory_mib, extra=["-icount", "shift=0,sleep=off"])
        boot = Run(qemu_command(machine, medium, folder / "scratch"), host.BUILD / f"logs/{test}-{hypervisor}.log")
        try:
            boot.wait_end(seconds)
        finally:
            boot.close()
    if "TEST bench: ok" not in boot.text or ": FAIL" in boot.text:
        sys.exit(f"the bench of the toolstack failed: {boot.log_path}")
    found = {}
    for name, count in FIGURE.findall(boot.text):
        found.setdefault(name, []).append(int(count))
    return {name: sorted(counts)[len(counts) // 2] for name, counts in found.items()}


def figures(guests=(1, 10, 100, 500)):
    """Streak's own toolstack."""
    return run("streak", "bench", "toolstack", 1024, 1536 + 8 * max(guests), guests)


def xl_figures(hypervisor, guests=(1, 10, 100)):
    """Debian's xl."""
    return run(hypervisor, "bench_xl", "xlbench", 1024, 1536 + 8 * max(guests), guests, 3600)


def throughput(figures):
    """{way: bytes in a thousand instructions}"""
    return {name: moved * 1000 // figures[name] for name, moved in MOVED.items()}
