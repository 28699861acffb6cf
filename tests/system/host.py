# SPDX-License-Identifier: GPL-2.0-only
"""Files the tests take from Debian packages: from the host where they are installed, otherwise from the
package, unpacked below build/ (a kernel or a hypervisor is never installed on the host for a test)."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("OUT") or ROOT / "build").resolve()

XEN_PACKAGE = "xen-hypervisor-4.17-amd64"
hook_lock = threading.Lock()


def version_key(path):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def unpacked(package):
    """Directory holding the content of a Debian package."""
    target = BUILD / "debian" / package
    if not target.exists():
        work = target.with_name(target.name + ".part")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        print(f"  FETCH    {package}", file=sys.stderr, flush=True)
        download = ["apt-get", "download", "-qq", package]
        if subprocess.run(download, cwd=work).returncode != 0:
            update = ["apt-get", "update", "-qq"]
            subprocess.run(update if os.getuid() == 0 else ["sudo", *update], check=True)
            subprocess.run(download, cwd=work, check=True)
        archive = next(work.glob("*.deb"))
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=work, check=True)
        archive.unlink()
        work.rename(target)
    return target


def kernel_package():
    """The package behind the meta-package linux-image-amd64, for example linux-image-6.1.0-56-amd64."""
    listing = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"Depends: (linux-image-\d\S*-amd64)", listing)[1]


def kernel():
    """(vmlinuz, directory with the kernel's modules), the newest that has both."""
    for root in (pathlib.Path("/"), None):
        base = root or unpacked(kernel_package())
        for image in sorted(base.glob("boot/vmlinuz-*-amd64"), key=version_key, reverse=True):
            modules = base / "lib/modules" / image.name.removeprefix("vmlinuz-")
            if (modules / "kernel").is_dir() and os.access(image, os.R_OK):
                return image, modules
    raise SystemExit("no Debian kernel found")


def cached_kernel():
    """The unpacked copy of kernel() that Streak's kernel hook makes."""
    image, _ = kernel()
    folder = BUILD / "kernel"
    hook = folder / "postinst.d/zz-streak"
    version = image.name.removeprefix("vmlinuz-")
    with hook_lock:  # a program that is being written can't be run
        hook.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "packaging/kernel/zz-streak", hook)
        shutil.copy(image, folder / image.name)
        subprocess.run([hook, version, folder / image.name], check=True)
    return folder / f"streak/vmlinux-{version}.lz4"


def unpacked_kernel():
    """The bytes of kernel()'s ELF file."""
    packed = cached_kernel().read_bytes()[:-4]  # its size follows the frame
    return subprocess.run(["lz4", "-dc"], input=packed, check=True, stdout=subprocess.PIPE).stdout


def hypervisor(name):
    """The image GRUB loads: our own or Debian's Xen, for comparison."""
    if name == "streak":
        image = BUILD / "streak.gz"
        if not image.exists():
            raise SystemExit(f"{image} is not built: make hypervisor")
        return image
    installed = pathlib.Path("/boot/xen-4.17-amd64.gz")
    return installed if installed.exists() else unpacked(XEN_PACKAGE) / "boot" / installed.name


if __name__ == "__main__":
    print(hypervisor(sys.argv[1]))
