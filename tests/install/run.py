#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What `make install` puts on a machine, tried in a folder: the kernel hook on Debian's kernel, GRUB's menu entries,
the toolstack's programs, units and manual pages."""
import argparse
import hashlib
import lzma
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import host  # noqa: E402

VERSION = "6.1.0-test-amd64"


class Machine:
    """The installed files and a kernel."""

    def __init__(self, root, make):
        self.root = root
        self.boot = root / "boot"
        self.hook = root / "etc/kernel/postinst.d/zz-streak"
        self.removal = root / "etc/kernel/postrm.d/zz-streak"
        self.menu = root / "etc/grub.d/20_linux_streak"
        subprocess.run([*make, "--no-print-directory", "install", f"DESTDIR={root}"], check=True, cwd=ROOT,
                       stdout=subprocess.DEVNULL)
        self.image = self.boot / f"vmlinuz-{VERSION}"
        shutil.copy(host.kernel()[0], self.image)
        (self.boot / f"initrd.img-{VERSION}").write_bytes(b"initrd")
        self.copy = self.boot / f"streak/vmlinux-{VERSION}.lz4"

    def run_hook(self, hook=None):
        return subprocess.run([hook or self.hook, VERSION, self.image], check=True, stderr=subprocess.PIPE, text=True)

    def menu_text(self):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "STREAK_BOOT": str(self.boot), "GRUB_DEVICE": "/dev/sda1",
                       "GRUB_DEVICE_UUID": "0123-4567", "GRUB_CMDLINE_LINUX": "console=hvc0", "GRUB_DEVICE_BOOT": "",
                       "GRUB_CMDLINE_STREAK": "dom0_mem=1G", "GRUB_DISTRIBUTOR": "Debian's"}
        return subprocess.run([self.menu], env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def unpacked_payload(image):
    """The ELF file inside a bzImage with an XZ payload."""
    data = image.read_bytes()
    start = (data[0x1F1] + 1) * 512 + int.from_bytes(data[0x248:0x24C], "little")
    return lzma.LZMADecompressor().decompress(data[start:])


def check_copy(m):
    m.run_hook()
    packed = m.copy.read_bytes()
    elf = subprocess.run(["lz4", "-dcq"], input=packed[:-4], stdout=subprocess.PIPE, check=True).stdout
    assert elf == unpacked_payload(m.image), "the copy isn't the kernel"
    assert int.from_bytes(packed[-4:], "little") == len(elf), "the size behind it"
    digest = hashlib.sha256(m.image.read_bytes()).hexdigest()
    assert (m.copy.parent / f"{m.copy.name}.sha256").read_text().strip() == digest, "the check sum beside it"
    assert sorted(p.name for p in m.copy.parent.iterdir()) == [m.copy.name, f"{m.copy.name}.sha256"], "left-overs"


def check_second_run(m):
    before = m.copy.stat().st_mtime_ns
    m.run_hook()
    assert m.copy.stat().st_mtime_ns == before, "made again"


def check_menu(m):
    text = m.menu_text()
    subprocess.run(["grub-script-check"], input=text, text=True, check=True)
    relative = str(m.boot).removeprefix("/")
    assert f"{relative}/streak.gz dom0_mem=1G" in text, text
    assert f"{relative}/streak/{m.copy.name} root=UUID=0123-4567 ro console=hvc0" in text, text
    assert f"{relative}/initrd.img-{VERSION}" in text, text


def check_changed_image(m):
    with open(m.image, "ab") as image:
        image.write(b"changed")
    assert f"/vmlinuz-{VERSION} root=" in m.menu_text(), "a stale copy would be booted"
    m.run_hook()
    assert f"/streak/{m.copy.name} root=" in m.menu_text(), "the new copy isn't used"


def check_strange_image(m):
    good = m.image.read_bytes()
    m.image.write_bytes(b"no kernel at all" * 100)
    said = m.run_hook().stderr
    assert "payload of another kind" in said and not m.copy.exists(), said
    m.image.write_bytes(good[:len(good) // 2])
    said = m.run_hook().stderr
    assert "can't be unpacked" in said and not m.copy.exists(), said
    m.image.write_bytes(good)
    m.run_hook()
    assert m.copy.exists()


def check_removal(m):
    m.run_hook(m.removal)
    assert not m.copy.parent.exists(), "something stays"
    m.run_hook(m.removal)


def unit_files(m):
    return sorted((m.root / "usr/lib/systemd/system").iterdir())


def check_programs(m):
    for unit in unit_files(m):
        for program in re.findall(r"^ExecStart=-?(/usr/\S+)", unit.read_text(), re.M):
            assert (m.root / program.lstrip("/")).is_file(), f"{unit.name} starts {program}, which isn't there"
    for program in [*(m.root / "usr/sbin").iterdir(), *(m.root / "usr/bin").iterdir()]:
        said = subprocess.run([program, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert program.name in said.stdout, f"{program.name} does not start: {said.stdout}"
        sections = subprocess.run(["readelf", "-SW", program], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert ".debug_info" not in sections, f"{program.name} isn't stripped"


def check_units(m):
    names = {unit.name for unit in unit_files(m)}
    assert {"streak-host.service", "proc-xen.mount", "streak-stored.service", "streak-consoled.service",
            "streakd.service"} <= names, names
    said = subprocess.run(["systemd-analyze", "--man=no", f"--root={m.root}", "verify", *unit_files(m)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # There is nothing else in the folder: no target, no modprobe.
    faults = [line for line in said.stdout.splitlines() if not re.search(r" not found|is not executable", line)]
    assert not faults, "\n".join(faults)


def check_enabling(m):
    subprocess.run(["systemctl", "--quiet", "--root", m.root, "enable", "streakd.service"], check=True)
    wanted = {link.name for link in (m.root / "etc/systemd/system").glob("*.wants/*")}
    assert wanted == {unit.name for unit in unit_files(m)}, wanted


def check_manual_pages(m):
    pages = {page.name.removesuffix(".scd") for page in (ROOT / "docs/man").glob("*.scd")}
    installed = {page.name: page for page in (m.root / "usr/share/man").rglob("*.*") if page.is_file()}
    assert set(installed) == pages, set(installed) ^ pages
    for name, page in installed.items():
        assert page.parent.name == "man" + name[-1] and page.read_text().count(".TH"), name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--make", default="make")
    options = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(dir=host.BUILD) as work:
        machine = Machine(pathlib.Path(work).resolve(), shlex.split(options.make))
        for check in (check_copy, check_second_run, check_menu, check_changed_image, check_strange_image, check_removal,
                      check_programs, check_units, check_enabling, check_manual_pages):
            name = check.__name__.removeprefix("check_").replace("_", " ")
            try:
                check(machine)
                print(f"ok    {name}", flush=True)
                passed += 1
            except (AssertionError, subprocess.CalledProcessError) as problem:
                print(f"FAIL  {name}: {problem}", flush=True)
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
