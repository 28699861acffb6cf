# SPDX-License-Identifier: GPL-2.0-only
"""The operations of the ABI, as the headers define them."""
import dataclasses
import pathlib
import re

HEADERS = pathlib.Path("/usr/include/xen")
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(.+?)[ \t]*(?:/\*.*)?$", re.MULTILINE)
SHIFTED = re.compile(r"\((?:xen_mk_ulong\((\d+)\)|(\d+))\s*<<\s*(\d+)\)")


@dataclasses.dataclass(frozen=True)
class Operation:
    name: str
    number: int
    family: str


def value(text, known):
    """A macro's number: a literal, a shift of one, or another macro's. None: it is something else."""
    shifted = SHIFTED.fullmatch(text)
    if shifted:
        return int(shifted[1] or shifted[2]) << int(shifted[3])
    if re.fullmatch(r"0x[0-9a-fA-F]+|\d+", text):
        return int(text, 0)
    return known.get(text)


def macros(header, known):
    """The numeric macros of a header, and which of them are other names for one of its own. The first definition counts,
    later ones are for older interfaces."""
    found, aliases = {}, set()
    for name, text in DEFINE.findall((HEADERS / header).read_text()):
        number = value(text, known | found)
        if number is not None and name not in found:
            if text in found:
                aliases.add(name)
            found[name] = number
    return found, aliases


def operations_of(family):
    """The operations of a family: macros of its headers whose names match, by number, without aliases."""
    found, known = [], {}
    for header in family["headers"]:
        here, aliases = macros(header, known)
        known |= here
        found += [Operation(name, number, family["title"]) for name, number in here.items()
                  if re.fullmatch(family["names"], name) and name not in aliases]
    return sorted(found, key=lambda operation: (operation.number, operation.name))
