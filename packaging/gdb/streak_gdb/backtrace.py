# SPDX-License-Identifier: GPL-2.0-only
"""streak-bt: from the hypervisor's frames across its entry code into the guest's stack."""
import re

import gdb

from streak_gdb import guest, machine
from streak_gdb.commands import Command
from streak_gdb.guest import guest_registers, guest_symbol, in_entry_code
from streak_gdb.values import address_of, number

MOST_FRAMES = 48
STACK_BYTES = 8 * 4096
# Code that interrupts the hypervisor itself: the registers lie 8 bytes above its stack pointer.
NESTED = ("entry_from_hypervisor", "debug_entry", "nmi_entry", "machine_check_entry", "double_fault_entry")
TRAPS = {0: "divide error", 1: "debug", 2: "NMI", 3: "breakpoint", 6: "invalid opcode", 7: "no FPU", 8: "double fault",
         11: "segment not present", 12: "stack fault", 13: "general protection", 14: "page fault", 18: "machine check"}
SYSTEM_CALLS = {0x101: "SYSCALL of 32-bit code", 0x102: "SYSENTER"}
TABLE_SIZE = 64  # hypercall_table
VECTOR_SYSCALL, VECTOR_SYSRET, VECTOR_BOUNCED = 0x103, 0x100, 0x104


def raw_symbol(address):
    """The assembler's name of an address, without its offset."""
    text = gdb.execute(f"info symbol {address:#x}", to_string=True)
    return "" if text.startswith("No symbol") else text.split(" in section")[0].split(" + ")[0].strip()


def function_names(address):
    """The functions around an address of the hypervisor, inlined ones first."""
    found, block = [], gdb.block_for_pc(address)
    while block is not None and not block.is_global and not block.is_static:
        if block.function is not None:
            found.append(block.function.name)
        block = block.superblock
    return found or [raw_symbol(address) or "?"]


def shorten(name):
    """Without template arguments, parameters and unnamed namespaces."""
    shorter, name = None, name.replace("(anonymous namespace)::", "")
    while shorter != name and "operator" not in name:
        shorter, name = name, re.sub(r"<[^<>]*>|\([^()]*\)(?: const)?(?:&&?)?", "", name)
    return re.sub(r"(?<=::)::| ", "", name)


def place(sal):
    return f" ({sal.symtab.filename}:{sal.line})" if sal.symtab and sal.line else ""


class Printer:
    """Numbers the frames as they are printed."""

    def __init__(self):
        self.count = 0

    def frame(self, address, text):
        print(f"#{self.count:<3}{address:016x}  {text}")
        self.count += 1

    def hypervisor(self, address, is_return):
        """What the unwinder did not tell."""
        at = place(gdb.find_pc_line(address - is_return))
        for name in function_names(address - is_return):
            self.frame(address, shorten(name) + at)
            at = " (where that is inlined)"

    @staticmethod
    def boundary(text):
        print(f"     ---- {text}")


def hypercall_name(index):
    """`event_channel_op` from the table's entry, which is called entry<&event_channel_op>."""
    table = address_of("hypercall_table")
    if index >= TABLE_SIZE:
        return "that doesn't exist"
    text = raw_symbol(machine.read_u64(table + index * 8))
    return text.partition("&")[2].partition(">")[0].partition("(")[0].rpartition("::")[2] or text.partition("(")[0]


def reason(vcpu, regs, is_over=False):
    """Why a vCPU came into the hypervisor. When a call is over the number's register has its result."""
    if regs.vector is None:
        return "on its way in or out"
    if regs.vector == VECTOR_SYSCALL:
        if int(vcpu["in_kernel"]) and is_over:
            return f"last entered by a hypercall, result {regs.rax:#x}"
        return f"entered by hypercall {regs.rax} ({hypercall_name(regs.rax)})" if int(vcpu["in_kernel"]) else "entered by a system call of its user mode"
    if regs.vector in (VECTOR_SYSRET, VECTOR_BOUNCED):
        return "goes on with registers that the hypervisor or a hypercall chose"
    if regs.vector in SYSTEM_CALLS:
        return f"entered by {SYSTEM_CALLS[regs.vector]}"
    if regs.vector < 32:
        return f"entered by {TRAPS.get(regs.vector, f'exception {regs.vector}')}"
    return f"entered by interrupt vector {regs.vector:#x}"


def print_guest(printer, vcpu, regs):
    domain_id = number(vcpu["domain"]["id"])
    for address, sure in guest.frames(vcpu, regs, MOST_FRAMES):
        printer.frame(address, ("" if sure else "? ") + (guest_symbol(domain_id, address) or guest_place(address)))
    if guest.symbols_of(domain_id) is None:
        printer.boundary(f"no names for d{domain_id}: streak-symbols FILE [DOMAIN]")


def guest_place(address):
    return "(user)" if address < 1 << 47 else "(kernel)"


def walk_hypervisor(printer):
    """Prints the selected thread's frames down to the entry code; returns whether a guest lies below it."""
    frame = gdb.newest_frame()
    for level in range(MOST_FRAMES):
        pc = frame.pc()
        if in_entry_code(pc):
            return leave_entry(printer, pc, level, int(frame.read_register("rsp")))
        if pc not in machine.HYPERVISOR:
            printer.boundary("no frame of the hypervisor's")
            return False
        printer.frame(pc, f"{shorten(frame.name() or raw_symbol(pc))}{place(frame.find_sal())}")
        older = frame.older()
        if older is None:
            return walk_pointers(printer, int(frame.read_register("rbp")))
        frame = older
    return False


def leave_entry(printer, pc, level, rsp):
    name = raw_symbol(pc - (level > 0))
    printer.frame(pc, f"{name} (entry code)")
    if name in NESTED and level > 0:
        regs = gdb.Value(rsp + 8).cast(gdb.lookup_type("streak::arch::Registers").pointer()).dereference()
        rip, vector = int(regs["rip"]), int(regs["vector"])
        if int(regs["cs"]) & 3 == 0 and rip in machine.HYPERVISOR:
            printer.boundary(f"interrupted by {TRAPS.get(vector, f'vector {vector:#x}')}")
            printer.hypervisor(rip, is_return=0)
            return False if in_entry_code(rip) else walk_pointers(printer, int(regs["rbp"]))
    return True


def walk_pointers(printer, rbp):
    """Goes on by frame pointers."""
    for _ in range(MOST_FRAMES):
        if rbp not in machine.HYPERVISOR or rbp % 8:
            return True
        try:
            older, back = machine.read_u64(rbp), machine.read_u64(rbp + 8)
        except gdb.MemoryError:
            return False
        if in_entry_code(back):
            return leave_entry(printer, back, 1, rbp + 16)
        if back not in machine.HYPERVISOR:
            return False
        printer.hypervisor(back, is_return=1)
        if older and not rbp < older <= rbp + STACK_BYTES:
            return False
        rbp = older
    return False


class Backtrace(Command):
    """Backtrace across the guest boundary.
Usage: streak-bt [DOMAIN [VCPU]]

Without arguments: the selected thread (a CPU), the hypervisor's frames first, then those of the guest that entered it:
its registers saved at entry, its stack through its page tables. With a domain: the guest's frames of one of its vCPUs
(0 by default), wherever that is. A `?` marks what only looks like a return address: kernels without frame pointers.
Names of the guest come from streak-symbols."""

    name, most = "streak-bt", 2

    def run(self, arguments):
        cpus = machine.processors()
        if arguments:
            self.one_vcpu(arguments, cpus)
        else:
            self.selected_thread(cpus)

    def one_vcpu(self, arguments, cpus):
        domain = machine.domain(machine.argument(arguments[0], "domain id"))
        wanted = machine.argument(arguments[1], "vCPU number") if len(arguments) > 1 else 0
        for vcpu in machine.vcpus(domain):
            if number(vcpu["id"]) == wanted:
                regs = guest_registers(vcpu, cpus)
                is_over = all(int(cpu.percpu["current"]) != int(vcpu.address) for cpu in cpus)
                print(f"{machine.vcpu_name(vcpu)}: {'runs now' if regs.live else reason(vcpu, regs, is_over)}")
                return print_guest(Printer(), vcpu, regs)
        raise gdb.GdbError(f"d{number(domain['id'])} has no vCPU {wanted}")

    def selected_thread(self, cpus):
        thread = gdb.selected_thread().num
        cpu = next((c for c in cpus if c.thread.num == thread), None)
        printer = Printer()
        if cpu is None:
            walk_hypervisor(printer)
            return printer.boundary("this CPU has no block of Streak's yet")
        vcpu = cpu.percpu["current"]
        if not cpu.in_guest:
            if not walk_hypervisor(printer):
                return None
        if int(vcpu) == 0 or int(vcpu["domain"]) == 0:
            return printer.boundary(f"CPU {cpu.index} runs no guest")
        regs = guest_registers(vcpu.dereference(), cpus)
        text = "runs" if cpu.in_guest else reason(vcpu, regs)
        printer.boundary(f"{machine.vcpu_name(vcpu)} {text}; guest {'kernel' if int(vcpu['in_kernel']) else 'user'} mode")
        print_guest(printer, vcpu.dereference(), regs)
        return None


class GuestSymbols(gdb.Command):
    """Name a guest's functions in streak-bt and streak-vcpus.
Usage: streak-symbols FILE [DOMAIN]

FILE: an ELF kernel with symbols, an unpacked Linux kernel (which carries its own), a System.map, or a copy of the guest's
/proc/kallsyms. Without DOMAIN: of all domains
that have none of their own. (For breakpoints by name, `add-symbol-file FILE` besides.)"""

    name = "streak-symbols"

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        arguments = gdb.string_to_argv(argument)
        if not 1 <= len(arguments) <= 2:
            raise gdb.GdbError("usage: streak-symbols FILE [DOMAIN]")
        table = guest.Symbols(arguments[0])
        which = machine.argument(arguments[1], "domain id") if len(arguments) == 2 else None
        guest.by_domain[which] = table
        print(f"{len(table.names)} functions of {arguments[0]}, for {'all domains' if which is None else f'd{which}'}")


class Index(gdb.Command):
    """List Streak's commands.
Usage: streak

`help COMMAND` tells more about each."""

    def __init__(self):
        super().__init__("streak", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for command in sorted([*Command.__subclasses__(), GuestSymbols], key=lambda c: c.name):
            print(f"{command.name:15} {command.__doc__.splitlines()[0]}")


def register():
    Backtrace()
    GuestSymbols()
