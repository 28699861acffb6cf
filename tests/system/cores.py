# SPDX-License-Identifier: GPL-2.0-only
"""What the host's gdb and readelf make of the cores that the case `dump` leaves on its disk."""
import re
import struct
import subprocess
import sys

import host

sys.path.insert(0, str(host.ROOT / "packaging/gdb"))
from streak_gdb import kallsyms  # noqa: E402

IDLE = "xen_hypercall_pv"  # where an idle vCPU of Linux waits, and one that has shut down
PLACES = {"web.gdb": 0, "web.crash": 128, "fallen.gdb": 256}  # MiB
DISK_MIB = 384


def banner_address(kernel):
    """Where a kernel has the text of /proc/version."""
    at = kernel.index(b"Linux version ")
    start, = struct.unpack_from("<Q", kernel, 0x20)  # e_phoff, e_phentsize, e_phnum
    size, count = struct.unpack_from("<HH", kernel, 0x36)
    for i in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", kernel, start + i * size)
        if kind == 1 and offset <= at < offset + length:
            return address + at - offset
    raise ValueError("no segment holds the banner")


def gdb(core, *commands):
    arguments = [word for command in commands for word in ("-ex", command)]
    return subprocess.run(["gdb", "-nx", "-batch", "-c", core, *arguments], capture_output=True, text=True).stdout


def functions_at(core, threads, names):
    """The functions that the vCPUs are in."""
    addresses = sorted(names)
    found = []
    for i in range(threads):
        rip = int(re.search(r"= (0x\w+)", gdb(core, f"thread {i + 1}", "print/x $rip"))[1], 16)
        found.append(names[max(a for a in addresses if a <= rip)])
    return found


def judge(disk):
    """What is wrong; empty when nothing is."""
    kernel = host.unpacked_kernel()
    names = kallsyms.functions(kernel)
    banner = banner_address(kernel)
    problems = []
    cores = {}
    with open(disk, "rb") as file:
        for name, place in PLACES.items():
            file.seek(place << 20)
            cores[name] = disk.with_name(f"{disk.name}.{name}")
            cores[name].write_bytes(file.read(128 << 20))
    for name, vcpus in (("web.gdb", 2), ("fallen.gdb", 1)):
        seen = gdb(cores[name], "info threads", f"x/s {banner:#x}")
        if len(re.findall(r"^[* ] +\d+ ", seen, re.M)) != vcpus:
            problems.append(f"{name}: gdb sees other vCPUs than {vcpus}: {seen}")
        if "Linux version 6." not in seen:
            problems.append(f"{name}: gdb doesn't find Linux' banner at {banner:#x}: {seen}")
    if (where := functions_at(cores["web.gdb"], 2, names)) != [IDLE] * 2:
        problems.append(f"web.gdb: its vCPUs are in {where}")
    if (where := functions_at(cores["fallen.gdb"], 1, names)) != [IDLE]:
        problems.append(f"fallen.gdb: its vCPU is in {where}")
    sections = subprocess.run(["readelf", "-SW", cores["web.crash"]], capture_output=True, text=True).stdout
    problems += [f"web.crash: no section {name}" for name in
                 (".note.Xen", ".xen_prstatus", ".xen_shared_info", ".xen_p2m", ".xen_pages") if name not in sections]
    if not problems:  # what is left is looked at
        for path in cores.values():
            path.unlink()
    return problems
