# SPDX-License-Identifier: GPL-2.0-only
"""How gdb shows the hypervisor's types."""
import re

import gdb
import gdb.printing

from streak_gdb.values import bits, elements, enumerator, length, number, ranges, type_name

HEXADECIMAL = ("Mfn", "Pfn", "Maddr", "Vaddr")
LOCK_WRAP = 1 << 16


class StrongId:
    """Mfn(0x1234), DomId(0)"""

    def __init__(self, value):
        self.value = value
        self.kind = re.search(r"StrongId<(?:\w+::)*(\w+?)Tag", type_name(value))[1]

    def to_string(self):
        raw = number(self.value)
        return f"{self.kind}({raw:#x})" if self.kind in HEXADECIMAL else f"{self.kind}({raw})"


def lock_state(value):
    """(is it held, how many wait) of a SpinLock."""
    taken = (number(value["next_"]) - number(value["serving_"])) % LOCK_WRAP
    return taken > 0, max(taken - 1, 0)


class SpinLock:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        held, waiting = lock_state(self.value)
        return f"held, {waiting} waiting" if held else "free"


class CpuMask:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return "CPUs " + ranges(bits([number(word) for word in elements(self.value["bits_"])]))


class Bitset:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        words = self.value["_M_w"]
        numbers = [int(words)] if words.type.strip_typedefs().code != gdb.TYPE_CODE_ARRAY else \
            [int(words[i]) for i in range(length(words))]
        return f"bits {ranges(bits(numbers))}"


class Sequence:
    """A vector or span of known size."""

    def __init__(self, value, first, size, kind):
        self.value, self.first, self.size, self.kind = value, first, size, kind

    def to_string(self):
        return f"{self.kind} of {self.size}"

    def children(self):
        for i in range(self.size):
            yield f"[{i}]", self.first[i]

    def display_hint(self):
        return "array"


def static_vector(value):
    room = value["items_"]["_M_elems"]
    return Sequence(value, room, min(number(value["size_"]), length(room)), "StaticVector")


class Array:
    """The elements of a std::array; equal ones are counted."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return self.value["_M_elems"]


class Atomic:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        inner = self.value["_M_base"] if type_name(self.value) == "std::atomic<bool>" else self.value
        return inner["_M_i"]


class Expected:
    """What an std::expected holds: a value or an Errno."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        if not bool(self.value["_M_has_value"]):
            return f"error {enumerator(self.value['_M_unex'])}"
        return "a value" if "_M_val" in [field.name for field in fields(self.value.type)] else "success"

    def children(self):
        if bool(self.value["_M_has_value"]) and "_M_val" in [field.name for field in fields(self.value.type)]:
            yield "value", self.value["_M_val"]


def fields(type_):
    """Members of a class, those of anonymous unions included."""
    for field in type_.strip_typedefs().fields():
        if field.name is None or field.name == "":
            yield from fields(field.type)
        else:
            yield field


class Owned:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return "nothing" if int(self.value["object_"]) == 0 else f"({self.value['object_'].type}) {int(self.value['object_']):#x}"


class Heap:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return "empty heap" if int(self.value["root_"]) == 0 else f"heap with first {int(self.value['root_']):#x}"


PAGE_FLAGS = ((59, "pinned"), (58, "validated"), (57, "partial"), (56, "busy"), (55, "linear source"), (54, "linear target"))
PAGE_TYPES = ("none", "l1", "l2", "l3", "l4", "segment_descriptor", "writable")


def page_words(value):
    """(count, its flags, type, its count, its flags) of a PageInfo, in words."""
    count, word = number(value["count"]), number(value["type"])
    flags = [name for bit, name in ((63, "allocated"), (62, "shared heap")) if count >> bit & 1]
    kind = word >> 60
    return (count & (1 << 56) - 1, flags, PAGE_TYPES[kind] if kind < len(PAGE_TYPES) else f"type {kind}",
            word & (1 << 48) - 1, [name for bit, name in PAGE_FLAGS if word >> bit & 1])


class PageInfo:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        count, flags, kind, uses, type_flags = page_words(self.value)
        return ", ".join([f"owner {int(self.value['owner']):#x}", f"count {count}", *flags, f"type {kind} × {uses}", *type_flags])


def register():
    printers = gdb.printing.RegexpCollectionPrettyPrinter("streak")
    for name, pattern, printer in (
            ("StrongId", r"^streak::StrongId<.*>$", StrongId),
            ("SpinLock", r"^streak::SpinLock$", SpinLock),
            ("CpuMask", r"^streak::CpuMask$", CpuMask),
            ("StaticVector", r"^streak::StaticVector<.*>$", static_vector),
            ("Owned", r"^streak::mm::Owned<.*>$", Owned),
            ("PageInfo", r"^streak::mm::PageInfo$", PageInfo),
            ("PairingHeap", r"^streak::sched::PairingHeap<.*>$", Heap),
            ("expected", r"^std::expected<.*>$", Expected),
            ("atomic", r"^std::atomic<.*>$", Atomic),
            ("bitset", r"^std::bitset<.*>$", Bitset),
            ("array", r"^std::array<.*>$", Array)):
        printers.add_printer(name, pattern, printer)
    gdb.printing.register_pretty_printer(None, printers, replace=True)
