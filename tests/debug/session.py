#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make gdb`, `make record`, `make replay`: a machine in QEMU under gdb, and recordings of machines (docs/debugging.md).

WHAT is dom0 (Debian's kernel with Streak's toolstack) or guest:NAME (a small kernel of tests/guests). A recording stands in
build/record/NAME: boot medium, events, first snapshot, symbols and command line, so that it replays when the sources have
gone on.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import host  # noqa: E402
import interactive  # noqa: E402
import machine  # noqa: E402

GDB_SCRIPT = ROOT / "packaging/gdb/streak.py"
WAIT_SECONDS, START_SECONDS = 180, 20
SNAPSHOT = "start"  # made by QEMU when a recording begins
STARTED = "(STREAK) starting dom0"


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


guests = load("guests_run", ROOT / "tests/guests/run.py")


class What:
    """What is booted: its medium and its part of QEMU's command line."""

    def __init__(self, text, demonstration=False, append=""):
        self.guest = text.removeprefix("guest:") if text.startswith("guest:") else None
        self.name = self.guest or text
        self.demonstration, self.append = demonstration, append
        if self.guest is None and text != "dom0":
            raise SystemExit(f"WHAT is dom0 or guest:NAME, not {text}")
        if self.guest is not None and not self.symbols().exists():
            raise SystemExit(f"there is no guest {self.guest} (folders of tests/guests), or it is not built: make guests")

    def symbols(self):
        """The kernel's ELF file."""
        if self.guest:
            return host.BUILD / "guests" / f"{self.guest}.elf"
        vmlinux = folder_of("debug") / host.kernel()[0].name.replace("vmlinuz", "vmlinux")
        if not vmlinux.exists():
            vmlinux.write_bytes(host.unpacked_kernel())
        return vmlinux

    def medium(self, folder):
        """Makes the boot medium in a folder."""
        if self.guest is None:
            shutil.copy(interactive.build_iso("streak", self.demonstration, self.append), folder / "boot.iso")
            return folder / "boot.iso"
        with tempfile.TemporaryDirectory(dir=folder) as work:
            words = [*guests.options_of(self.guest, "hv"), self.append]
            medium = guests.make_iso(self.guest, host.hypervisor("streak"), guests.make_core(work), work, words, "")
            shutil.move(medium, folder / "boot.iso")
        return folder / "boot.iso"

    def hardware(self, smp):
        if self.guest is None:
            return machine.base_command(machine.Machine(smp=smp))
        return [*machine.base_command(machine.Machine(memory_mib=256)), *guests.options_of(self.guest, "qemu")]


def free(path):
    """A socket's place, relative where that is shorter: such an address has 108 characters."""
    path.unlink(missing_ok=True)
    return min((str(path), os.path.relpath(path)), key=len)


class Emulator:
    """QEMU with a stub for gdb at a Unix socket. It ignores the terminal's Ctrl-C, which is gdb's."""

    def __init__(self, command, folder, serial):
        self.log = folder / "serial.log"
        self.stub = free(folder / "gdb.socket")
        monitor = free(folder / "monitor.socket")
        self.log.write_bytes(b"")
        self.errors = open(folder / "qemu.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*command, *serial, "-monitor", "none", "-chardev", f"socket,id=gdb0,path={self.stub},server=on,wait=off",
             "-gdb", "chardev:gdb0", "-qmp", f"unix:{monitor},server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors, start_new_session=True)
        self.wait_for_monitor(monitor)

    def wait_for_monitor(self, path):
        """QEMU greets once all of its options have been read and the machine is made."""
        self.wait(lambda: os.path.exists(path), START_SECONDS)
        self.connection = socket.socket(socket.AF_UNIX)
        try:
            self.connection.settimeout(START_SECONDS)
            self.connection.connect(path)
            greeting = self.connection.recv(1 << 16)
        except OSError:
            greeting = b""
        if not greeting:
            self.close()
            raise SystemExit(f"QEMU did not start:\n{pathlib.Path(self.errors.name).read_text()}")

    def wait(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise SystemExit(f"QEMU ended with status {self.process.returncode}:\n{pathlib.Path(self.errors.name).read_text()}")
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def wait_for_text(self, text, seconds):
        return self.wait(lambda: text in self.log.read_bytes(), seconds)

    def close(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.errors.close()
        pathlib.Path(self.stub).unlink(missing_ok=True)


def serial_console(folder):
    """A console at a Unix socket, kept in a log."""
    place = free(folder / "console.socket")
    return ["-chardev", f"socket,id=console,path={place},server=on,wait=off,logfile={folder / 'serial.log'}",
            "-serial", "chardev:console"]


def gdb_command(symbols, kernel, stub, *more):
    command = ["gdb", "-q", "-nx", str(symbols), "-ex", "set confirm off",
               "-ex", "set pagination off", "-ex", f"source {GDB_SCRIPT}", "-ex", f"target remote {stub}",
               "-ex", f"streak-symbols {kernel}"]
    if ".debug_info" in sections(kernel):
        command += ["-ex", f"add-symbol-file {kernel}"]
    return [*command, *more]


def sections(path):
    return subprocess.run(["objdump", "-h", str(path)], check=True, stdout=subprocess.PIPE, text=True).stdout


def attach(emulator, command):
    """gdb on the terminal; the emulator ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to gdb, which stops the machine
    try:
        return subprocess.run(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)).returncode
    finally:
        emulator.close()


def folder_of(*names):
    folder = host.BUILD.joinpath(*names)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def debug(what, stop, after, more):
    folder = folder_of("debug", what.name)
    command = [*what.hardware(smp=2), "-cdrom", str(what.medium(folder)), "-boot", "d", "-no-shutdown"]
    emulator = Emulator(command + ["-S"] * stop, folder, serial_console(folder))
    print(f"Serial console: {folder / 'serial.log'}; with input: socat -,rawer UNIX-CONNECT:{folder / 'console.socket'}")
    if not stop:
        print(f"The machine runs until its console shows `{after}`; STOP=1 stops it at its first instruction.", flush=True)
        if not emulator.wait_for_text(after.encode(), WAIT_SECONDS):
            print(f"It has not within {WAIT_SECONDS} s: the machine is stopped where it is.")
    return attach(emulator, gdb_command(host.BUILD / "streak-syms", what.symbols(), emulator.stub, *more))


# ---- Recordings ----------------------------------------------------------------------------------------

def recorder(folder, mode):
    """QEMU's options that record or replay: one processor, instructions as the clock, the medium through a filter."""
    # QEMU 7.2 resets the machine when it seeks backwards, and the reset of kvmvapic (for old Windows) may then wait for a
    # processor that waits for the replay's lock: without that device nothing hangs.
    return ["-global", "apic-common.vapic=off",
            "-icount", f"shift=auto,rr={mode},rrfile={folder / 'events.bin'},rrsnapshot={SNAPSHOT}",
            "-drive", f"file={folder / 'state.qcow2'},if=none,id=state",
            "-drive", f"file={folder / 'boot.iso'},format=raw,readonly=on,if=none,id=medium",
            "-drive", "driver=blkreplay,if=none,image=medium,id=medium-filter,readonly=on",
            "-device", "ide-cd,drive=medium-filter,bus=ide.1", "-boot", "d", "-net", "none"]


def record_machine(what, folder):
    """Prepares a recording; returns QEMU's command without a console."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    what.medium(folder)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(folder / "state.qcow2"), "1G"], check=True)
    shutil.copy(host.BUILD / "streak-syms", folder)
    shutil.copy(what.symbols(), folder / "kernel.elf")
    hardware = what.hardware(smp=1)
    (folder / "machine.json").write_text(json.dumps(hardware))
    return [*hardware, *recorder(folder, "record")]


def record(what):
    folder = host.BUILD / "record" / what.name
    command = record_machine(what, folder)
    print("The console is this terminal, and what is typed is recorded, too. The recording ends with the machine"
          + ("" if what.guest or what.demonstration else " ('poweroff')") + "; Ctrl-\\ x ends it at once.", flush=True)
    started = time.monotonic()
    status = subprocess.run([*command, "-serial", "mon:stdio", "-echr", "0x1c"],
                            stdin=None if sys.stdin.isatty() else subprocess.DEVNULL).returncode
    events = folder / "events.bin"
    if not events.exists() or status != 0:
        raise SystemExit(f"nothing was recorded (QEMU ended with status {status})")
    print(f"\nRecorded in {time.monotonic() - started:.0f} s: {folder} ({events.stat().st_size // 1024} KiB of events). "
          f"make replay WHAT={'guest:' if what.guest else ''}{what.name}")
    return 0


def replay_emulator(folder):
    """A recording's machine, stopped at its first instruction."""
    if not (folder / "machine.json").exists():
        raise SystemExit(f"there is no recording {folder}: make record first")
    hardware = json.loads((folder / "machine.json").read_text())
    return Emulator([*hardware, *recorder(folder, "replay"), "-S", "-no-shutdown"], folder,
                    ["-chardev", f"file,id=console,path={folder / 'serial.log'}", "-serial", "chardev:console"])


def replay_gdb(folder, emulator, *more):
    return gdb_command(folder / "streak-syms", folder / "kernel.elf", emulator.stub, *more)


def replay(what, more):
    folder = host.BUILD / "record" / what.name
    emulator = replay_emulator(folder)
    print(f"Serial console: {folder / 'serial.log'}. The recording stands at its first instruction; it ends where the machine "
          "ended.\nreverse-stepi, reverse-continue and so on go back; see docs/debugging.md.", flush=True)
    return attach(emulator, replay_gdb(folder, emulator, *more))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("gdb", "record", "replay"))
    parser.add_argument("--what", default="dom0")
    parser.add_argument("--stop", action="store_true", help="at the machine's first instruction")
    parser.add_argument("--after", default="", metavar="TEXT", help=f"stop when the console shows it; {STARTED} by default")
    parser.add_argument("--hv-append", default="", metavar="OPTIONS", help="more of the hypervisor's options")
    parser.add_argument("--gdb", default="", metavar="ARGUMENTS", help="more of gdb's, e.g. '-x FILE'")
    parser.add_argument("--commands", default="", metavar="'A; B'", help="give gdb these and leave")
    options = parser.parse_args()
    more = shlex.split(options.gdb)
    for command in filter(None, map(str.strip, options.commands.split(";"))):
        more += ["-ex", command]
    more += ["-batch"] * bool(options.commands)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # with what was started
    what = What(options.what, demonstration=options.action == "record" and not sys.stdin.isatty(),
                append=options.hv_append)
    if options.action == "gdb":
        return debug(what, options.stop, options.after or STARTED, more)
    return record(what) if options.action == "record" else replay(what, more)


if __name__ == "__main__":
    sys.exit(main())
