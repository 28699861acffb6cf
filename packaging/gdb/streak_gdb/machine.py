# SPDX-License-Identifier: GPL-2.0-only
"""The machine as the debugger's stub shows it: where the hypervisor is, its memory, its processors.

The hypervisor's sixteen L4 slots are the same in every address space, but with page-table isolation a running guest maps only
the entry code and its CPU's block. `hypervisor_memory()` gives commands the full tables then, by CR3, and puts the guest's
back.
"""
import contextlib
import struct

import gdb

from streak_gdb.values import address_of, length, number, pointer, static, symbol_file

DIRECT_MAP = 0xffff830000000000  # arch/layout.hpp
FRAME_TABLE = 0xffff824000000000
M2P = 0xffff820000000000
HYPERVISOR = range(0xffff800000000000, 0xffff880000000000)
ADDRESS_MASK = 0x000ffffffffff000
NOTE_HEADER = 16  # of .note.gnu.build-id, "GNU" included


def register(name):
    value = gdb.parse_and_eval(f"${name}")  # control registers are sets of flags to gdb, which int() refuses
    return int(value.format_string(format="x").split()[0], 16) & (1 << 64) - 1


def set_register(name, value):
    type_ = gdb.parse_and_eval(f"${name}").type
    gdb.set_convenience_variable("streak_value", gdb.Value(value.to_bytes(type_.sizeof, "little"), type_))
    gdb.execute(f"set ${name} = $streak_value", to_string=True)


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def read_u64(address):
    return struct.unpack("<Q", read(address, 8))[0]


def readable(address):
    try:
        read(address, 8)
        return True
    except gdb.MemoryError:
        return False


def check_symbols():
    """Refuses to go on when the machine runs another build than the symbols describe."""
    objfile = symbol_file()
    note = address_of("__build_id_start")
    try:
        found = read(note + NOTE_HEADER, 20).hex()
    except gdb.MemoryError:
        raise gdb.GdbError("Streak is not in memory here: the machine is in its firmware, in GRUB or in Streak's first "
                           "instructions. `tbreak streak_main` and `continue` lead to it.") from None
    if objfile.build_id and found != objfile.build_id:
        raise gdb.GdbError(f"the symbols do not match: {objfile.filename} has build id {objfile.build_id},\n"
                           f"the machine runs {found}. Every address below would be wrong; load the streak-syms that "
                           "was built with this image.")


def percpu_here():
    """The PerCpu of the selected thread, or None before it has one."""
    wanted = gdb.lookup_type("streak::arch::PerCpu").pointer()
    for name in ("gs_base", "k_gs_base"):  # the hypervisor's is the other one while a guest runs
        base = register(name)
        if base in HYPERVISOR and readable(base) and read_u64(base) == base:
            return gdb.Value(base).cast(wanted).dereference()
    return None


@contextlib.contextmanager
def newest_frame():
    """The selected thread's newest frame selected: registers are the processor's own."""
    try:
        before = gdb.selected_frame().level()
    except gdb.error:
        raise gdb.GdbError("no machine: `make gdb`, or `target remote` to a stub") from None
    gdb.newest_frame().select()
    try:
        yield
    finally:
        with contextlib.suppress(gdb.error):
            frame = gdb.newest_frame()
            for _ in range(before):
                frame = frame.older() or frame
            frame.select()


@contextlib.contextmanager
def hypervisor_memory():
    """All of the hypervisor's memory can be read, and the symbols are those of what runs."""
    with newest_frame():
        guests = None
        if not readable(address_of("hypercall_table")):
            percpu = percpu_here()
            if percpu is not None and int(percpu["cr3"]) != 0:
                guests, full = register("cr3"), int(percpu["cr3"])
                set_register("cr3", full)
        try:
            check_symbols()
            yield
        finally:
            if guests is not None:
                gdb.newest_frame().select()
                set_register("cr3", guests)


class DomainFunction(gdb.Function):
    """$streak_domain(ID): the Domain* of an id."""

    def __init__(self):
        super().__init__("streak_domain")

    def invoke(self, identity):
        with hypervisor_memory():
            return domain(number(identity)).address


class VcpuFunction(gdb.Function):
    """$streak_vcpu(DOMAIN, NUMBER): the Vcpu* of a domain's vCPU."""

    def __init__(self):
        super().__init__("streak_vcpu")

    def invoke(self, identity, which):
        with hypervisor_memory():
            return domain(number(identity))["vcpus"]["_M_elems"][number(which)]


class Processor:
    """A processor of the machine: gdb's thread and Streak's block."""

    def __init__(self, thread, percpu):
        self.thread, self.percpu = thread, percpu
        self.index = number(percpu["cpu"])
        self.registers = {name: register(name)
                          for name in ("rip", "rsp", "rbp", "cs", "rcx", "gs_base")}

    @property
    def in_guest(self):
        return self.registers["cs"] & 3 == 3


def processors():
    """The processors that run Streak, in the order of their numbers."""
    selected, found = gdb.selected_thread(), []
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            gdb.newest_frame().select()
            percpu = percpu_here()
            if percpu is not None:
                found.append(Processor(thread, percpu))
    finally:
        selected.switch()
        gdb.newest_frame().select()
    return sorted(found, key=lambda processor: processor.index)


def domains():
    """The domains, ascending by id, as values of Domain."""
    table = static("streak::(anonymous namespace)::domains", "domain/registry.cpp")["_M_elems"]
    taken = static("streak::(anonymous namespace)::taken", "domain/registry.cpp")["_M_w"]
    found = []
    for at in range(length(taken)):
        word = int(taken[at])
        while word:
            identity = at * 64 + (word & -word).bit_length() - 1
            word &= word - 1
            if int(table[identity]):
                found.append(table[identity].dereference())
    if not found:
        raise gdb.GdbError("there are no domains yet: Streak is still booting")
    return found


def domain(identity):
    for candidate in domains():
        if number(candidate["id"]) == identity:
            return candidate
    raise gdb.GdbError(f"there is no domain {identity}; streak-domains lists them")


def vcpus(domain_):
    return [v.dereference() for v in (domain_["vcpus"]["_M_elems"][i] for i in range(number(domain_["max_vcpus"]))) if int(v)]


def vcpu_name(vcpu):
    if int(vcpu["domain"]) == 0:
        return "idle"
    return f"d{number(vcpu['domain']['id'])}v{number(vcpu['id'])}"


def page(frame):
    """The PageInfo of a machine frame."""
    limit = number(static("streak::mm::frame_table_frames"))
    record = pointer(FRAME_TABLE, "streak::mm::PageInfo") + frame
    if frame >= limit or not readable(int(record)):
        raise gdb.GdbError(f"frame {frame:#x} is no RAM (the frame table ends at {limit:#x}): device memory has no record")
    return record.dereference()


def argument(text, what):
    """The number an expression stands for."""
    try:
        return number(gdb.parse_and_eval(text))
    except (gdb.error, TypeError, ValueError) as error:
        raise gdb.GdbError(f"{text} is no {what}: {error}") from None
