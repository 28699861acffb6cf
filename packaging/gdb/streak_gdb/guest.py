# SPDX-License-Identifier: GPL-2.0-only
"""A guest as the hypervisor sees it: its registers, its memory through its page tables, names for its addresses."""
import bisect
import contextlib
import pathlib
import struct
import subprocess

import gdb

from streak_gdb import kallsyms, machine
from streak_gdb.values import address_of, number

PRESENT, LARGE = 1, 0x80
REGISTER_WORDS = 21  # arch::Registers: 15 general ones, error code and vector, rip cs rflags rsp ss
AT_RBP, AT_RIP = 4, 16
STACK_BYTES = 0x4000  # of Linux
SYSCALL = b"\x0f\x05"
STUB_WORDS = 3  # what a stub of the hypercall page may have pushed, and its return address
SWAPGS_BYTES = 3
MOST_OFFSET = 1 << 20  # further behind a symbol lies something else


class Registers:
    """rip, rsp, rbp, cs of a guest; `live`: the processor holds them, not the hypervisor's memory."""

    def __init__(self, rip, rsp, rbp, cs, vector=None, rax=0, live=False):
        self.rip, self.rsp, self.rbp, self.cs = rip, rsp, rbp, cs
        self.vector, self.rax, self.live = vector, rax, live


def saved(regs):
    """Of a value of type arch::Registers."""
    return Registers(int(regs["rip"]), int(regs["rsp"]), int(regs["rbp"]), int(regs["cs"]), int(regs["vector"]),
                     int(regs["rax"]))


def frame_words(address):
    """(rip, rsp, cs) of what a processor pushes."""
    rip, cs, _, rsp, _ = struct.unpack("<5Q", machine.read(address, 40))
    return rip, rsp, cs


def offset_in_symbol(address):
    text = gdb.execute(f"info symbol {address:#x}", to_string=True)
    return int(text.split(" + ")[1].split()[0]) if " + " in text else 0


def in_entry_code(address):
    return address_of("__text_start") <= address < address_of("__entry_text_end")


def registers_at_entry(cpu):
    """The guest's registers while the processor is in the entry or exit code and holds a part of them itself."""
    live = cpu.registers
    rsp, end = live["rsp"], int(cpu.percpu["guest_regs_end"])
    begin, entry_stack = end - REGISTER_WORDS * 8, int(cpu.percpu["entry_stack"])
    if rsp not in machine.HYPERVISOR:  # SYSCALL before it has a stack, or the last instruction out
        moved = live["gs_base"] == int(cpu.percpu["self"]) and offset_in_symbol(live["rip"]) != SWAPGS_BYTES
        return Registers(live["rcx"], int(cpu.percpu["guest_rsp"]) if moved else rsp, live["rbp"], 3, live=True)
    if entry_stack and entry_stack - 48 <= rsp < entry_stack:  # tables of its own: the frame is moved from there
        rip, guest_rsp, cs = frame_words(entry_stack - 40)
        return Registers(rip, guest_rsp, live["rbp"], cs, live=True)
    if not begin <= rsp <= end:
        return None
    if rsp > end - 40:  # SYSCALL: nothing, or not all, stored yet
        return Registers(live["rcx"], int(cpu.percpu["guest_rsp"]), live["rbp"], 3, live=True)
    rip, guest_rsp, cs = frame_words(begin + AT_RIP * 8)
    stored = rsp <= begin + AT_RBP * 8
    return Registers(rip, guest_rsp, machine.read_u64(begin + AT_RBP * 8) if stored else live["rbp"], cs, live=not stored)


def guest_registers(vcpu, cpus):
    """Where a vCPU's guest is, or was when it last entered the hypervisor."""
    for cpu in cpus:
        if int(cpu.percpu["current"]) != int(vcpu.address):
            continue
        live = cpu.registers
        if cpu.in_guest:
            return Registers(live["rip"], live["rsp"], live["rbp"], live["cs"], live=True)
        if in_entry_code(live["rip"]):
            found = registers_at_entry(cpu)
            if found:
                return found
    return saved(vcpu["regs"])


class Memory:
    """A guest's memory through the tables it runs on."""

    def __init__(self, vcpu):
        self.root = int(vcpu["cr3_kernel" if int(vcpu["in_kernel"]) else "cr3_user"])
        self.pages = {}

    def translate(self, address):
        """The machine address, or None where nothing is mapped."""
        table = self.root
        for level in (3, 2, 1, 0):
            shift = 12 + 9 * level
            try:
                entry = machine.read_u64(machine.DIRECT_MAP + (table & machine.ADDRESS_MASK) + (address >> shift & 511) * 8)
            except gdb.MemoryError:
                return None
            if not entry & PRESENT:
                return None
            if level == 0 or entry & LARGE and level < 3:
                low = (1 << shift) - 1
                return entry & machine.ADDRESS_MASK & ~low | address & low
            table = entry
        return None

    def read(self, address, size):
        """The bytes there, or None."""
        found = b""
        while len(found) < size:
            at = address + len(found)
            if at >> 12 not in self.pages:
                page = self.translate(at & ~0xfff)
                try:
                    self.pages[at >> 12] = None if page is None else machine.read(machine.DIRECT_MAP + page, 4096)
                except gdb.MemoryError:  # device memory
                    self.pages[at >> 12] = None
            page = self.pages[at >> 12]
            if page is None:
                return None
            found += page[at & 0xfff:][:size - len(found)]
        return found

    def read_u64(self, address):
        word = self.read(address, 8)
        return None if word is None else struct.unpack("<Q", word)[0]


class Symbols:
    """Names by address: of an ELF kernel with symbols, of a stripped Linux kernel that has its own, or of a System.map (or
    a saved /proc/kallsyms)."""

    def __init__(self, path):
        path = pathlib.Path(path).expanduser()
        try:
            with open(path, "rb") as file:
                elf = file.read(4) == b"\x7fELF"
            text = subprocess.run(["nm", "--defined-only", "-C", str(path)], check=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True).stdout if elf else path.read_text(errors="replace")
        except (OSError, subprocess.CalledProcessError) as error:
            raise gdb.GdbError(f"{path}: {getattr(error, 'stderr', None) or error}") from None
        found = text_symbols(text)
        if not any(found) and elf:
            with contextlib.suppress(kallsyms.NotFound, struct.error, IndexError):
                found = kallsyms.functions(path.read_bytes())
        if not any(found):
            raise gdb.GdbError(f"{path} names no functions. A compressed kernel has to be unpacked; Debian's System.map is "
                               "empty; a copy of the guest's /proc/kallsyms does, too.")
        self.addresses = sorted(found)
        self.names = [found[address] for address in self.addresses]

    def find(self, address):
        """name+0xoffset, or None."""
        at = bisect.bisect_right(self.addresses, address) - 1
        if at < 0 or address - self.addresses[at] >= MOST_OFFSET:
            return None
        offset = address - self.addresses[at]
        return self.names[at] + (f"+{offset:#x}" if offset else "")


def text_symbols(text):
    """{address: name} of what nm prints."""
    found = {}
    for line in text.splitlines():
        fields = line.split(maxsplit=2)
        if len(fields) == 3 and len(fields[1]) == 1 and fields[1] in "tTwW":
            found.setdefault(int(fields[0], 16), fields[2].split("\t")[0])
    return found


by_domain = {}  # id, or None for all others: Symbols


def symbols_of(domain_id):
    return by_domain.get(domain_id, by_domain.get(None))


def guest_symbol(domain_id, address):
    table = symbols_of(domain_id)
    return table and table.find(address) or ""


def is_call_before(memory, address):
    """Ends a call instruction at this address?"""
    code = memory.read(address - 7, 7)
    if code is None:
        return False
    return code[2] == 0xe8 or any(code[at] == 0xff and code[at + 1] >> 3 & 7 == 2 for at in (0, 1, 3, 4, 5))


def frames(vcpu, regs, most):
    """[(address, sure)] of a guest's stack: by its frame pointers, then (not sure) by what looks like return addresses."""
    memory, domain_id = Memory(vcpu), number(vcpu["domain"]["id"])
    found, rbp, rsp, stack_end = [(regs.rip, True)], regs.rbp, regs.rsp, regs.rsp + STACK_BYTES
    in_stub = memory.read(regs.rip - 2, 2) == SYSCALL  # a hypercall page's has no frame
    at_start = "+" not in (guest_symbol(domain_id, regs.rip) or "+")  # nor has a function before it made it
    if in_stub or at_start:
        words = [memory.read_u64(rsp + 8 * at) for at in range(STUB_WORDS if in_stub else 1)]
        found += [(word, True) for word in words if word and is_call_before(memory, word)][:1]
    by_pointers = False
    while len(found) < most and rsp <= rbp < stack_end and rbp % 8 == 0:
        words = memory.read(rbp, 16)
        if words is None:
            break
        older, back = struct.unpack("<2Q", words)
        if not is_call_before(memory, back):
            break
        if back != found[-1][0]:
            found.append((back, True))
        by_pointers = True
        rsp = rbp + 16
        rbp = older
    if by_pointers or symbols_of(domain_id) is None:
        return found
    # No frame pointers (a Linux with ORC): return addresses that follow a call and have a name.
    address = regs.rsp & ~7
    while len(found) < most and (word := memory.read_u64(address)) is not None and address < stack_end:
        if word >> 47 and (word, True) not in found and guest_symbol(domain_id, word) and is_call_before(memory, word):
            found.append((word, False))
        address += 8
    return found
