# SPDX-License-Identifier: GPL-2.0-only
"""Numbers and elements out of the hypervisor's types."""
import subprocess

import gdb


def type_name(value):
    return value.type.strip_typedefs().unqualified().name or ""


def number(value):
    """The number in a strong id, an atomic or a plain integer."""
    name = type_name(value)
    if name.startswith("streak::StrongId<"):
        value = value["value_"]
    elif name == "std::atomic<bool>":
        value = value["_M_base"]["_M_i"]
    elif name.startswith("std::atomic<"):
        value = value["_M_i"]
    return int(value)


def enumerator(value):
    """`running` of an enumerator streak::sched::RunState::running."""
    return str(value).rpartition("::")[2]


def elements(array):
    """The elements of a std::array."""
    inner = array["_M_elems"]
    return (inner[i] for i in range(length(inner)))


def length(array):
    """Of an array of the language's."""
    return array.type.strip_typedefs().range()[1] + 1


def bits(words, width=64):
    """Positions of the bits set in a sequence of numbers."""
    return [at * width + bit for at, word in enumerate(words) for bit in range(width) if word >> bit & 1]


def ranges(positions):
    """0-3,8 of [0, 1, 2, 3, 8]."""
    runs = []
    for position in positions:
        if runs and runs[-1][1] == position - 1:
            runs[-1][1] = position
        else:
            runs.append([position, position])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs) or "none"


def static(name, file=""):
    """The value of a variable with internal linkage, in the source whose name ends in `file`."""
    for symbol in gdb.lookup_static_symbols(name):
        if symbol.symtab.filename.endswith(file):
            return symbol.value()
    symbol = gdb.lookup_global_symbol(name)
    if symbol is None:
        raise gdb.GdbError(f"these symbols know no {name}: are they build/streak-syms?")
    return symbol.value()


labels = {}  # of the symbol file whose name is the key


def address_of(symbol):
    """The address of a label or function, by its linker's name. (An expression would depend on the selected frame's scope.)"""
    file = symbol_file().filename
    if file not in labels:
        listing = subprocess.run(["nm", file], check=True, stdout=subprocess.PIPE, text=True).stdout
        labels[file] = {fields[2]: int(fields[0], 16) for fields in map(str.split, listing.splitlines()) if len(fields) == 3}
    if symbol not in labels[file]:
        raise gdb.GdbError(f"{file} knows no {symbol}: is it build/streak-syms?")
    return labels[file][symbol]


def symbol_file():
    """The object file that holds the hypervisor's symbols."""
    for objfile in gdb.objfiles():
        if objfile.lookup_static_symbol("streak_main") or objfile.lookup_global_symbol("streak_main"):
            return objfile
    raise gdb.GdbError("Streak's symbols are not loaded: file build/streak-syms")


def pointer(address, type_):
    return gdb.Value(address).cast(gdb.lookup_type(type_).pointer())


def heap_nodes(root, type_):
    """The elements of a PairingHeap below a HeapNode*, as `type_`, in no order."""
    wanted, waiting = gdb.lookup_type(type_).pointer(), [root]
    while waiting:
        node = waiting.pop()
        if int(node) == 0:
            continue
        yield node.cast(wanted).dereference()
        waiting += [node["next"], node["child"]]
