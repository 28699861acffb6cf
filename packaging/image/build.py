#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Builds a bootable disk image: Debian 12 with systemd, and Streak installed on it as a user installs it.

usage: build.py OUTPUT [--make "make"]

Debian comes from mmdebstrap and is kept as OUTPUT's folder/debian-KEY.tar for the next time. Then, in a copy of it:
`make install DESTDIR=`, the kernel hook, `update-grub`, `systemctl enable streakd`. The file systems are made by
mke2fs from the folder, GRUB's first sectors by grub-mkimage: no loop device, no mount.
"""
import argparse
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import uuid

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SUITE = "bookworm"
PACKAGES = """systemd-sysv dbus udev kmod iproute2 less nano linux-image-amd64 initramfs-tools grub2-common grub-pc-bin
    lz4 xz-utils""".split()
# dom0's kernel finds its disk with these; the machine image is for emulators and plain PCs.
INITRD_MODULES = "virtio_pci virtio_blk ahci ata_piix sd_mod nvme ext4".split()
ROOT_MIB = 1536
FIRST_SECTOR = 2048
SECTOR = 512
FILESYSTEM = uuid.UUID("5374726b-0001-4000-8000-000000000001")
GRUB_MODULES = "biosdisk part_msdos ext2 normal search search_fs_uuid serial terminal multiboot2 gzio".split()


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


def libraries(programs):
    """Debian packages of the shared libraries that programs need."""
    listing = subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    files = {os.path.realpath(path) for path in re.findall(r"=> (/\S+)", listing)}
    found = subprocess.run(["dpkg", "-S", *files, *(f.removeprefix("/usr") for f in files)], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True).stdout
    return sorted({line.split(":")[0] for line in found.splitlines()})


def debian(folder, packages):
    """An archive of Debian with the packages, made when there is none of the same."""
    hook = (f'mkdir -p "$1/etc/initramfs-tools/conf.d" && printf "MODULES=list\\nCOMPRESS=lz4\\n" >"$1/etc/initramfs-tools/conf.d/small"'
            f' && printf "%s\\n" {" ".join(INITRD_MODULES)} >"$1/etc/initramfs-tools/modules"')
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}",
               "--aptopt=Apt::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\"",
               "--dpkgopt=force-unsafe-io", "--dpkgopt=force-confold", "--dpkgopt=path-exclude=/usr/share/locale/*",
               f"--essential-hook={hook}", SUITE]
    key = hashlib.sha256(repr(command).encode()).hexdigest()[:16]
    archive = folder / f"debian-{key}.tar"
    if not archive.exists():
        print("  DEBIAN   mmdebstrap (some minutes, once)", flush=True)
        partial = archive.with_suffix(".part.tar")
        run(*command, partial)  # from Debian's own mirror, with its security updates
        for old in folder.glob("debian-*.tar"):
            if old != partial:
                old.unlink()
        partial.rename(archive)
    return archive


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def configure(root):
    """What an administrator decides: names, network, console, what GRUB boots."""
    write(root / "etc/hostname", "streak\n")
    # An emulator on a busy host is slow.
    write(root / "etc/systemd/system.conf.d/patience.conf",
          "[Manager]\nDefaultTimeoutStartSec=15min\nDefaultDeviceTimeoutSec=15min\n")
    # The first start need not do what is done here.
    run("systemd-machine-id-setup", "--root", root, stderr=subprocess.DEVNULL)
    for folder in ("etc", "var"):
        (root / folder / ".updated").touch()
    write(root / "etc/fstab", f"UUID={FILESYSTEM} / ext4 errors=remount-ro 0 1\n")
    write(root / "etc/systemd/network/10-br0.netdev", "[NetDev]\nName=br0\nKind=bridge\n")
    write(root / "etc/systemd/network/20-br0.network", "[Match]\nName=br0\n[Network]\nDHCP=ipv4\n")
    write(root / "etc/systemd/network/30-cards.network", "[Match]\nName=en* eth*\n[Network]\nBridge=br0\n")
    version = next((root / "boot").glob("vmlinuz-*")).name.removeprefix("vmlinuz-")
    write(root / "etc/default/grub", f'GRUB_DEFAULT="Debian GNU/Linux, with Streak and Linux {version}"\n'
          'GRUB_TIMEOUT=1\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT="console=tty0 console=hvc0 quiet"\n'
          'GRUB_TERMINAL="console serial"\nGRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\n')
    run("sed", "-i", 's/^GRUB_CMDLINE_STREAK=.*/GRUB_CMDLINE_STREAK="console=com1,vga com1=115200,8n1"/; '
        's/dom0_mem=1G,max:1G/dom0_mem=768M,max:768M/', root / "etc/default/grub.d/streak.cfg")
    run("chroot", root, "passwd", "-q", "-d", "root")
    return version


GRUB_PROBE = f"""#!/bin/sh
# Stands for grub-probe while the disk does not exist yet.
case "$*" in
*target=device*) echo /dev/disk/by-uuid/{FILESYSTEM} ;;
*target=fs_uuid*) echo {FILESYSTEM} ;;
*target=fs*) echo ext2 ;;
*target=partmap*) echo msdos ;;
*target=abstraction*) ;;
*target=compatibility_hint*) echo hd0,msdos1 ;;
*target=hints_string*) ;;
*target=drive*) echo '(hd0,msdos1)' ;;
*) exit 1 ;;
esac
"""


def install(root, make):
    """As the README says."""
    run(*make, "--no-print-directory", "-C", ROOT, "install", f"DESTDIR={root}", stdout=subprocess.DEVNULL)
    version = configure(root)
    run("chroot", root, "systemd-sysusers")
    run("chroot", root, "/etc/kernel/postinst.d/zz-streak", version)
    probe = root / "usr/sbin/grub-probe"
    kept = probe.rename(probe.with_name("grub-probe.kept"))
    write(probe, GRUB_PROBE, 0o755)
    shutil.copytree(root / "usr/lib/grub/i386-pc", root / "boot/grub/i386-pc")
    run("chroot", root, "update-grub", stderr=subprocess.DEVNULL)
    kept.rename(probe)
    run("systemctl", "--root", root, "--quiet", "enable", "streakd.service", "systemd-networkd.service")


def partition_table(sectors):
    """One bootable Linux partition from FIRST_SECTOR on."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", FIRST_SECTOR, sectors)
    return struct.pack("<IH", 0x5354524B, 0) + entry + bytes(48) + b"\x55\xaa"


def write_disk(root, output):
    """GRUB's boot sector and core image lie before the partition, where grub-install puts them."""
    partial = output.with_suffix(".part")
    partial.unlink(missing_ok=True)
    with open(partial, "wb") as disk:
        disk.truncate((ROOT_MIB << 20) + FIRST_SECTOR * SECTOR)
    run("mke2fs", "-q", "-t", "ext4", "-U", FILESYSTEM, "-L", "streak", "-E", f"offset={FIRST_SECTOR * SECTOR}", "-d", root,
        partial, f"{ROOT_MIB}M")
    core = root.with_name("core.img")
    run("grub-mkimage", "-O", "i386-pc", "-d", root / "usr/lib/grub/i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core,
        *GRUB_MODULES)
    boot = (root / "usr/lib/grub/i386-pc/boot.img").read_bytes()
    content = core.read_bytes()
    core.unlink()
    if len(content) > (FIRST_SECTOR - 1) * SECTOR:
        raise SystemExit("GRUB's core image does not fit before the partition")
    with open(partial, "r+b") as disk:
        disk.write(boot[:440] + partition_table((ROOT_MIB << 20) // SECTOR) + content)
    partial.rename(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--make", default="make")
    options = parser.parse_args()
    if os.getuid() != 0:
        os.execvp("sudo", ["sudo", sys.executable, "-B", *sys.argv])
    os.umask(0o022)
    output = options.output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    programs = sorted((output.parents[1] / "tools").glob("streak*"))
    archive = debian(output.parent, PACKAGES + libraries(programs))
    root = output.parent / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    run("tar", "-C", root, "-xf", archive)
    install(root, shlex.split(options.make))
    write_disk(root, output)
    shutil.rmtree(root)
    print(f"  IMAGE    {output} ({output.stat().st_blocks // 2048} MiB)", flush=True)


if __name__ == "__main__":
    main()
