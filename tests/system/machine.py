# SPDX-License-Identifier: GPL-2.0-only
"""One emulated machine: QEMU's command line, its serial console and how it ended."""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import host

OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
DEBUG_KEYS = "qdraei"  # domains, registers, run queues, timers, events, interrupts


@dataclasses.dataclass
class Machine:
    """What is plugged together. Disks: {"ide" | "ahci" | "virtio": file}; nics: "e1000", "virtio-net"."""
    machine: str = "i440fx"
    firmware: str = "bios"
    smp: int = 1
    cpu: str = "qemu64"
    memory_mib: int = 1024
    disks: dict = dataclasses.field(default_factory=dict)
    nics: list = dataclasses.field(default_factory=list)
    extra: list = dataclasses.field(default_factory=list)
    reboots: bool = False  # a reset starts it again


def firmware_options(machine, scratch):
    if machine.firmware == "bios":
        return []
    variables = scratch.with_name(scratch.name + ".vars")
    shutil.copyfile(OVMF_VARS, variables)
    return ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF_CODE}",
            "-drive", f"if=pflash,format=raw,file={variables}"]


def disk_options(machine):
    options = []
    for kind, path in machine.disks.items():
        options += ["-drive", f"file={path},format=raw,if=none,id=disk-{kind}"]
        if kind == "virtio":
            options += ["-device", "virtio-blk-pci,drive=disk-virtio"]
        elif kind == "ahci":
            options += ["-device", "ahci,id=ahci-test", "-device", "ide-hd,drive=disk-ahci,bus=ahci-test.0"]
        else:  # the chipset's own controller; the boot medium is master of its second channel
            options += ["-device", "ide-hd,drive=disk-ide,bus=ide.0"]
    return options


def nic_options(machine):
    options = []
    for index, nic in enumerate(machine.nics):
        model = {"virtio-net": "virtio-net-pci"}.get(nic, nic)
        options += ["-netdev", f"user,id=net{index}", "-device", f"{model},netdev=net{index},romfile="]
    return options


def base_command(machine):
    """QEMU without its consoles and what it boots from. Never with host virtualisation."""
    chipset = machine.machine.replace("i440fx", "pc")  # perhaps with options of QEMU's behind it
    # TCG reads the stack of an IRETQ at CPL 3 as supervisor, which SMAP forbids: models have it only with "-smap".
    return ["qemu-system-x86_64", "-accel", "tcg", "-machine", chipset, "-cpu", machine.cpu,
            "-smp", str(machine.smp), "-m", str(machine.memory_mib), "-nodefaults", "-vga", "std",
            "-display", "none", *([] if machine.reboots else ["-no-reboot"]), *disk_options(machine), *nic_options(machine), *machine.extra]


def qemu_command(machine, iso, scratch):
    """A machine that boots a medium. The caller adds -serial and the monitor."""
    return [*base_command(machine), "-cdrom", str(iso), "-boot", "d", *firmware_options(machine, scratch)]


def disk_command(machine, image):
    """A machine that boots a disk's image, which stays as it is."""
    return [*base_command(machine), "-drive", f"file={image},format=raw,if=virtio,snapshot=on", "-boot", "c"]


class Run:
    """A QEMU process with its serial console captured to a log, and a record of why it ended."""

    def __init__(self, command, log_path, echo=None):
        self.log_path = pathlib.Path(log_path)
        self.echo = echo
        self.text = ""
        self.reason = None  # QEMU's word: guest-shutdown, guest-reset, ...
        self.condition = threading.Condition()
        self.connection = None  # to the monitor, once it has greeted
        self.replies = []
        self.socket_path = self.log_path.with_suffix(".qmp")
        self.socket_path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        cwd = os.path.relpath(self.socket_path)  # the address of a Unix socket is short
        listener.bind(cwd)
        listener.listen(1)
        self.errors = open(self.log_path.with_suffix(".stderr"), "w+")
        self.process = subprocess.Popen(
            command + ["-serial", "stdio", "-monitor", "none",
                       "-chardev", f"socket,id=qmp,path={self.socket_path}", "-mon", "chardev=qmp,mode=control"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True)
        self.reader = threading.Thread(target=self._read_serial, daemon=True)
        self.reader.start()
        self.monitor = threading.Thread(target=self._read_monitor, args=(listener,), daemon=True)
        self.monitor.start()

    def _read_serial(self):
        with open(self.log_path, "wb", buffering=0) as log:
            while chunk := os.read(self.process.stdout.fileno(), 65536):
                log.write(chunk)
                decoded = chunk.decode("utf-8", "replace").replace("\r", "")
                if self.echo:
                    self.echo.write(decoded)
                    self.echo.flush()
                with self.condition:
                    self.text += decoded
                    self.condition.notify_all()

    def _read_monitor(self, listener):
        try:
            listener.settimeout(30)
            connection, _ = listener.accept()
            connection.sendall(b'{"execute": "qmp_capabilities"}\n')
            self.connection = connection
            for line in connection.makefile():
                message = json.loads(line)
                if message.get("event") == "SHUTDOWN":
                    self.reason = message["data"]["reason"]
                elif "return" in message or "error" in message:
                    with self.condition:
                        self.replies.append(message)
                        self.condition.notify_all()
        except (OSError, ValueError):
            pass
        finally:
            listener.close()
            self.socket_path.unlink(missing_ok=True)

    def wait_for(self, pattern, seconds, start=0):
        """Position behind the first match of `pattern` at or after `start`; None when time or machine ends."""
        deadline = time.monotonic() + seconds
        with self.condition:
            while True:
                match = re.compile(pattern, re.M).search(self.text, start)
                if match:
                    return match.end()
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    return None
                self.condition.wait(min(left, 1.0))

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def ask(self, command, **arguments):
        """The monitor's reply to a command; None when it gives none."""
        with self.condition:
            self.replies.clear()
            self.connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            self.condition.wait_for(lambda: self.replies, 10)
            return self.replies[0].get("return") if self.replies else None

    def user_mappings(self, cpu):
        """[(first address, bytes)] of what a CPU's tables map while a guest runs; None if it doesn't now."""
        def monitor(line):
            return self.ask("human-monitor-command", **{"command-line": line, "cpu-index": cpu}) or ""
        self.ask("stop")
        try:
            if "CPL=3" not in monitor("info registers"):
                return None
            lines = re.findall(r"^([0-9a-f]{16})-[0-9a-f]{16} ([0-9a-f]{16}) ", monitor("info mem"), re.M)
            return [(int(first, 16), int(size, 16)) for first, size in lines]
        finally:
            self.ask("cont")

    def wait_end(self, seconds):
        """True when the machine ended by itself in time."""
        try:
            self.process.wait(max(seconds, 0))
            self.reader.join(5)
            self.monitor.join(5)
            return True
        except subprocess.TimeoutExpired:
            return False

    def ask_why_it_hangs(self):
        """Leaves what Streak's debug keys tell in the log, and beside it the registers of all CPUs at two moments."""
        looks = []
        with contextlib.suppress(OSError, AttributeError):  # it ended meanwhile, or its monitor never greeted
            for keys in ("\x01\x01\x01" + DEBUG_KEYS, ""):
                looks.append(self.ask("human-monitor-command", **{"command-line": "info registers -a"}) or "no answer\n")
                self.send(keys)
                time.sleep(3 if keys else 0)
        self.log_path.with_suffix(".registers").write_text("\n".join(looks))

    def close(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.reader.join(5)
        self.errors.flush()
        self.errors.seek(0)
        self.stderr = self.errors.read().strip()
        self.errors.close()
        if not self.stderr:
            pathlib.Path(self.errors.name).unlink(missing_ok=True)


def log_directory():
    path = host.BUILD / "logs"
    path.mkdir(parents=True, exist_ok=True)
    return path
