# SPDX-License-Identifier: GPL-2.0-only
"""Bochs as Streak is run in it: configuration, media, symbols.

Bochs is the judge where QEMU's TCG strays from the manuals. Its own BIOS corrupts GRUB's multiboot2 hand-over:
SeaBIOS is used.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("packaging", "tests/system"):
    sys.path.insert(0, str(ROOT / folder))
import dom0_image  # noqa: E402
import host  # noqa: E402
import iso  # noqa: E402
import link  # noqa: E402
from cases import DOM0_OPTIONS  # noqa: E402

FOLDER = host.BUILD / "bochs"
# x2APIC and the TSC-deadline timer exist here and not in TCG.
HV_OPTIONS = "console=com1,vga com1=115200,8n1 loglvl=all guest_loglvl=all x2apic "
DOM0_MEMORY, GUEST_MEMORY = "dom0_mem=256M,max:256M", "dom0_mem=64M noreboot"
MEMORY_MIB = 512
HV_BASE = 0xffff82d040000000  # HV_BASE of the Makefile
GUEST_BASE = 0xffffffff80000000  # of the micro-kernels: tests/guests/lib/kernel.ld
NAMED = re.compile(r"{([\w:]+)}")
DISPLAY = 'rfb, options="timeout=0"'

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
magic_break: enabled={magic}
log: {log}
panic: action=report
error: action=report
info: action=ignore
debug: action=ignore
sound: waveoutdrv=dummy
speaker: enabled=0
private_colormap: enabled=0
"""


def write_config(path, medium, serial, magic=False):
    """`magic`: `xchg %bx, %bx` (STREAK_BREAK) stops the machine at the debugger's prompt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIG.format(iso=medium, serial=serial, log=path.with_suffix(".bochslog"), memory=MEMORY_MIB,
                                  display=DISPLAY, magic=int(magic)))
    return path


def dom0_medium(hypervisor, test):
    """A CD that boots Debian's kernel as dom0, with the script `test` or to a shell."""
    dom0 = f"{DOM0_OPTIONS} streak.cpus=1" + (f" streak.test={test}" if test else "")
    dom0 += " streak.extra=.0-streak" if hypervisor == "streak" else ""
    kernel = host.cached_kernel() if hypervisor == "streak" else host.kernel()[0]
    modules = [iso.Module(kernel, dom0), iso.Module(dom0_image.build())]
    return iso.build(FOLDER / f"{hypervisor}-{test or 'shell'}.iso", host.hypervisor(hypervisor),
                     HV_OPTIONS + DOM0_MEMORY, modules)


def guest_elf(name):
    path = host.BUILD / "guests" / f"{name}.elf"
    if not path.exists():
        known = " ".join(sorted(p.stem for p in path.parent.glob("*.elf"))) or "none is built: make guests"
        sys.exit(f"there is no micro-kernel {name}; expected one of: {known}")
    return path


def guest_medium(hypervisor, name, append=""):
    """A CD that boots a micro-kernel of tests/guests as dom0."""
    stripped = FOLDER / f"{name}.elf"
    stripped.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["strip", "-o", stripped, guest_elf(name)], check=True)
    return iso.build(FOLDER / f"{hypervisor}-guest-{name}.iso", host.hypervisor(hypervisor),
                     HV_OPTIONS + GUEST_MEMORY, [iso.Module(stripped, f"{name} {append}")])


def text_symbols(image, base):
    """[(address, name)] of an ELF file's functions within 4 GiB above `base`, ascending; C++ names as in backtraces."""
    found = link.text_symbols(image, base)
    return [(base + offset, name) for (offset, _), name in zip(found, link.demangle([name for _, name in found]))]


def hypervisor_symbols():
    return text_symbols(host.BUILD / "streak-syms", HV_BASE)


def guest_symbols(name):
    return text_symbols(guest_elf(name), GUEST_BASE)


def map_symbols(path):
    """The same of a System.map."""
    lines = (line.split() for line in pathlib.Path(path).read_text().splitlines())
    return [(int(fields[0], 16), fields[2]) for fields in lines if len(fields) >= 3 and fields[1] in "tTwW"]


def write_symbols(path, symbols):
    """A file for Bochs' `ldsym global`."""
    path.write_text("".join(f"{address:x} {name.replace(' ', '_')}\n" for address, name in symbols))
    return path
