#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Builds dom0's initial RAM file systems from Debian packages, below build/dom0/:

  initramfs.cpio.gz         busybox, kernel modules, /init, the test scripts
  initramfs-stress.cpio.gz  the same and stress-ng
  initramfs-hv.cpio.gz      the same and build/system/hv-probe
  initramfs-builder.cpio.gz the same, build/system/builder-probe, and the guest below
  initramfs-xl.cpio.gz      the same, Debian's Xen tools, Streak's toolstack as far as build/tools has it, and a guest:
                            Debian's kernel and a busybox of its own
  initramfs-xlbench.cpio.gz Debian's Xen tools, build/system/count here and in the guest, and tests/bench/stub.S
  initramfs-streak.cpio.gz  as initramfs-xl without Debian's tools, and a definition and a disk for the guest
  initramfs-toolstack.cpio.gz  the same, the kernel unpacked as well, tests/bench/stub.S as a guest of no size, and
                            xentrace and xenperf
  initramfs-grub.cpio.gz    as initramfs-streak, and a GRUB that is a guest and starts Debian's kernel out of itself

Same inputs, same bytes: entries are sorted, times and owners are zero. Rebuilt only when an input changed.
"""
import gzip
import hashlib
import io
import os
import pathlib
import re
import stat
import subprocess
import tarfile
import tempfile

import host

HERE = pathlib.Path(__file__).resolve().parent
MODULES = """xen-evtchn xen-privcmd xen-gntdev xen-gntalloc xenfs xen-blkback xen-netback xen-pciback loop bridge
    virtio_pci virtio_blk virtio_net virtio_console e1000 ahci ata_piix ata_generic sd_mod sr_mod ext4 brd""".split()

HV_PROBE = host.BUILD / "system/hv-probe"  # `make build/system/hv-probe`
LOG_PROBE = host.BUILD / "system/log-probe"  # `make build/system/log-probe`
BUILDER_PROBE = host.BUILD / "system/builder-probe"

COUNT = host.BUILD / "system/count"  # `make build/system/count`
STUB = host.BUILD / "system/stub"  # `make build/system/stub`
OWN_TOOLS = ("streak", "toolstack", "grub")  # kinds with Streak's toolstack and a guest, but not Debian's tools
GRUB_MENU = """echo "GRUB up"
linux (memdisk)/vmlinux console=hvc0 loglevel=4 guest.do=wait
initrd (memdisk)/initramfs
boot
"""
GUEST_MODULES = "xen-blkfront xen-netfront".split()


class Archive:
    """A cpio archive in the "newc" format, filled in any order, written sorted."""

    def __init__(self):
        self.entries = {}

    def add(self, name, mode, content=b"", device=(0, 0)):
        parent = os.path.dirname(name)
        if parent and parent not in self.entries:
            self.add(parent, stat.S_IFDIR | 0o755)
        self.entries.setdefault(name, (mode, content, device))

    def add_file(self, name, source):
        mode = 0o755 if os.access(source, os.X_OK) else 0o644
        self.add(name, stat.S_IFREG | mode, pathlib.Path(source).read_bytes())

    def add_link(self, name, target):
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def content(self):
        records = [*sorted(self.entries.items()), ("TRAILER!!!", (0, b"", (0, 0)))]
        output = bytearray()
        for number, (name, (mode, content, device)) in enumerate(records, 1):
            links = 2 if stat.S_ISDIR(mode) else 1
            encoded = name.encode() + b"\0"
            fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, *device, len(encoded), 0)
            output += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
            output += b"\0" * (-len(output) % 4) + content
            output += b"\0" * (-len(output) % 4)
        return bytes(output) + b"\0" * (-len(output) % 512)


def module_closure(directory, names):
    """Paths, relative to `directory`, of the named modules and all they depend on, with their modules.dep lines."""
    depends = {}
    for line in (directory / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        depends[path] = rest.split()
    by_name = {re.sub(r"\.ko.*$", "", os.path.basename(path)).replace("-", "_"): path for path in depends}
    wanted = [by_name[name.replace("-", "_")] for name in names]
    return {path: depends[path] for top in wanted for path in (top, *depends[top])}


def modules_directory(directory):
    """`directory`, with a modules.dep: a package that is only unpacked has none."""
    if not (directory / "modules.dep").exists():
        subprocess.run(["/sbin/depmod", "-b", directory.parents[2], directory.name], check=True)
    return directory


def shared_libraries(program):
    listing = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return sorted(set(re.findall(r"(?:=> |^\s*)(/\S+)", listing, re.M)))


def stripped(program):
    """A program without its debugging information."""
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "-o", file.name, program], check=True)
        return pathlib.Path(file.name).read_bytes()


def add_program(archive, program, target=None):
    """A program as `target` or under its own path, and its libraries where the loader looks."""
    target = target or re.sub(r"^/(usr/)?", "usr/", str(program))
    archive.add(target, stat.S_IFREG | 0o755, stripped(os.path.realpath(program)))
    for path in shared_libraries(program):
        archive.add_file(path.removeprefix("/"), os.path.realpath(path))


def scripts():
    yield "init", HERE / "dom0/init"
    yield "sbin/streak-up", HERE / "dom0/streak-up"
    yield "sbin/xl-up", HERE / "dom0/xl-up"
    yield "sbin/toolstack", HERE / "dom0/toolstack"
    for script in sorted((HERE / "dom0/tests").glob("*.sh")):
        yield f"tests/{script.name}", script


def programs(kind):
    """Further programs of an image."""
    if kind == "stress":
        return ["/usr/bin/stress-ng"]
    if kind == "hv":
        return [HV_PROBE]
    if kind == "builder":
        return [BUILDER_PROBE]
    if kind == "toolstack":
        return [COUNT, LOG_PROBE, "/usr/bin/true", "/usr/bin/strace", "/usr/lib/xen-4.17/bin/xentrace",
                "/usr/lib/xen-4.17/bin/xenperf"]
    if kind == "xlbench":
        return [*programs("xl"), COUNT, "/usr/bin/true"]
    if kind == "xl":
        return [f"/usr/lib/xen-4.17/bin/{name}" for name in
                ("xl", "xenstored", "xenstore-control", "xenconsoled", "xenconsole", "xen-init-dom0", "test-xenstore")] + \
               [f"/usr/bin/xenstore-{name}" for name in ("ls", "read", "write", "list", "watch", "rm", "exists")]
    return []


def own_programs(kind):
    """Streak's toolstack, as `make tools` built it: {path in the image: file}."""
    folder = host.BUILD / "tools"
    names = ("streak", "streakd", "streak-stored", "streak-consoled") if kind in ("xl", *OWN_TOOLS) else ()
    return {f"usr/{'bin' if name == 'streak' else 'sbin'}/{name}": folder / name
            for name in names if (folder / name).exists()}


def add_modules(archive, modules, names):
    """Kernel modules and all they depend on."""
    target = f"lib/modules/{modules.name}"
    closure = module_closure(modules, names)
    for path in closure:
        archive.add_file(f"{target}/{path}", modules / path)
    lines = [f"{path}: {' '.join(needs)}".rstrip() for path, needs in sorted(closure.items())]
    archive.add(f"{target}/modules.dep", stat.S_IFREG | 0o644, ("\n".join(lines) + "\n").encode())


def guest_image(modules, counts=False):
    """A guest's initial RAM file system: busybox, the drivers of its devices and one script; with `counts` also bin/count."""
    archive = Archive()
    if counts:
        archive.add_file("bin/count", COUNT)
    for name in ("proc", "sys", "dev", "tmp"):
        archive.add(name, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add_file("bin/busybox", "/bin/busybox")
    archive.add_link("bin/sh", "busybox")
    archive.add("init", stat.S_IFREG | 0o755, (HERE / "guest/init").read_bytes())
    add_modules(archive, modules, GUEST_MODULES)
    return gzip.compress(archive.content(), mtime=0)


def guest_grub(modules):
    """Debian's GRUB as a PV guest, with a menu, a kernel and an initial RAM file system in its image."""
    folder = host.unpacked("grub-xen-bin") / "usr/lib/grub/x86_64-xen"
    files = {"boot/grub/grub.cfg": GRUB_MENU.encode(), "vmlinux": host.unpacked_kernel(), "initramfs": guest_image(modules)}
    with tempfile.TemporaryDirectory(dir=host.BUILD) as work:
        memdisk = pathlib.Path(work) / "memdisk.tar"
        with tarfile.open(memdisk, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        image = pathlib.Path(work) / "grub"
        subprocess.run(["grub-mkimage", "-O", "x86_64-xen", "-d", folder, "-m", memdisk, "-p", "(memdisk)/boot/grub",
                        "-o", image, "memdisk", "tar", "normal", "linux", "echo", "halt", "configfile"], check=True)
        return image.read_bytes()


def guest_disk():
    """A raw disk that a guest can tell from an empty one."""
    return b"The disk of guest web.\n".ljust(1 << 20, b"\0")


def build_archive(modules, kind):
    archive = Archive()
    for name in ("proc", "sys", "dev", "tmp", "run", "root", "mnt", "sbin", "usr/bin", "etc"):
        archive.add(name, stat.S_IFDIR | 0o755)
    # /init's standard streams, before devtmpfs is mounted.
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    archive.add_file("bin/busybox", "/bin/busybox")
    archive.add_link("bin/sh", "busybox")
    archive.add("etc/passwd", stat.S_IFREG | 0o644, b"root::0:0:root:/root:/bin/sh\n")
    for name, source in scripts():
        archive.add(name, stat.S_IFREG | 0o755, source.read_bytes())
    add_modules(archive, modules, MODULES)
    for program in programs(kind):
        add_program(archive, program, f"bin/{program.name}" if program in (HV_PROBE, LOG_PROBE, BUILDER_PROBE, COUNT) else None)
    for target, program in own_programs(kind).items():
        add_program(archive, program, target)
    if programs(kind):  # threads that are cancelled load it by name
        archive.add_file("lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib/x86_64-linux-gnu/libgcc_s.so.1")
    if kind in ("xl", "xlbench", "builder", *OWN_TOOLS):
        archive.add_file("guest/vmlinuz", host.kernel()[0])
        archive.add("guest/initramfs", stat.S_IFREG | 0o644, guest_image(modules, kind == "xlbench"))
    if kind in ("xl", "xlbench", "toolstack"):
        archive.add("guest/vmlinux", stat.S_IFREG | 0o644, host.unpacked_kernel())
    if kind in ("xlbench", "toolstack"):
        archive.add_file("guest/stub", STUB)
    if kind == "grub":
        archive.add("guest/grub", stat.S_IFREG | 0o644, guest_grub(modules))
    if kind in OWN_TOOLS:
        archive.add_file("guest/web.xml", HERE / "guest/web.xml")
        archive.add("guest/web.img", stat.S_IFREG | 0o644, guest_disk())
    return archive


def input_key(modules, kind):
    """Changes whenever the image would."""
    digest = hashlib.sha256()
    files = [path for _, path in scripts()] + [pathlib.Path(__file__), pathlib.Path("/bin/busybox"), modules / "modules.dep",
                                               *sorted((HERE / "guest").iterdir())]
    for path in [*files, *map(pathlib.Path, programs(kind)), *own_programs(kind).values(),
                 *([STUB] if kind in ("xlbench", "toolstack") else [])]:
        info = path.stat()
        content = path.read_bytes() if info.st_size < 100_000 and path.is_relative_to(host.ROOT) else b""
        digest.update(f"{path} {info.st_size} {info.st_mtime_ns if not content else 0}\n".encode() + content)
    return digest.hexdigest()


def build(kind=""):
    """Path of the image, built when it is absent or old. Kinds: see above."""
    modules = modules_directory(host.kernel()[1])
    output = host.BUILD / "dom0" / f"initramfs{'-' + kind if kind else ''}.cpio.gz"
    stamp = output.with_suffix(".key")
    key = input_key(modules, kind)
    if not output.exists() or not stamp.exists() or stamp.read_text() != key:
        output.parent.mkdir(parents=True, exist_ok=True)
        packed = gzip.compress(build_archive(modules, kind).content(), compresslevel=6, mtime=0)
        partial = output.with_suffix(f".part{os.getpid()}")
        partial.write_bytes(packed)
        partial.rename(output)
        stamp.write_text(key)
        print(f"  IMAGE    {output} ({len(packed) // 1024} KiB)", flush=True)
    return output


if __name__ == "__main__":
    for name in ("", "stress", "hv", "builder", "xl", *OWN_TOOLS):
        build(name)
