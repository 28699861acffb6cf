# SPDX-License-Identifier: GPL-2.0-only
"""What the hypervisor does with an operation, read from its sources: the function that carries it out, the hook that is
asked, or the error that refuses it."""
import dataclasses
import functools
import re

import source

FOLDER = source.ROOT / "hypervisor"
HOOK = re.compile(r"\bHook::(\w+)")
ERRNO = re.compile(r"Errno::(\w+)")
CALLED = re.compile(r"(?<![:\w.>])(\w+)(?=\s*[(<,)])")
MEMBER_CALLED = re.compile(r"\.(\w+)\(")
LABEL = re.compile(r"\b(?:case \w+|default):")
UNLISTED = re.compile(r"(?:default:|!operation\.handler\)) return fail\(Errno::(\w+)\)")
MOST_CALLS_DEEP = 5


@dataclasses.dataclass(frozen=True)
class Handling:
    handler: str  # function, and its file
    hooks: tuple
    error: str  # what refuses it, or ""


class Place:
    """A part of a file where operations are told apart: FILE:FUNCTION, FILE:VARIABLE or FILE."""

    def __init__(self, text):
        name, _, self.symbol = text.partition(":")
        self.file = source.load(FOLDER / name)
        self.text = self.file.part(self.symbol)

    def label(self, function=None):
        return f"{function or self.symbol} ({self.file.path.relative_to(FOLDER)})"


def statement_after(text, start):
    """What is carried out behind a label or condition: a block, or all up to the next label."""
    if text[start:].lstrip().startswith("{"):
        opening = text.index("{", start)
        return text[opening:source.closing(text, opening) + 1]
    following = LABEL.search(text, start)
    end = following.start() if following else len(text)
    statement = text[start:end]
    if not statement.strip() and following:
        return statement_after(text, following.end())
    return statement


def statement_of(name, text):
    """The code for an operation's number, or None where it is not named."""
    for pattern in (rf"\bcase {name}:", rf"== {name}\b\)", rf"== {name}\b"):
        found = re.search(pattern, text)
        if found and "case" in pattern:
            return statement_after(text, found.end())
        if found:
            rest = statement_after(text, found.end())
            return rest if rest.lstrip().startswith("{") else re.split(r";| : ", rest)[0] + ";"
    return None


@functools.cache
def declared():
    """Functions that the hypercalls' headers declare, so that other files may call them."""
    text = "".join(file.text for file in source.sources("hypervisor/hypercall/*.hpp"))
    lists = " ".join(re.findall(r"^DomctlHandler ([^;]*);", text, re.MULTILINE))
    return {*re.findall(r"(?:Return|Result<[^;(]*>) (\w+)\(", text), *re.findall(r"\w+", lists)}


def find_function(name, near):
    """The file that defines a function, this one first."""
    if name in near.functions:
        return near
    if name not in declared():
        return None
    return next((file for file in source.sources("hypervisor/hypercall/*.cpp") if name in file.functions), None)


def functions_in(text, near):
    """(function, file) of those that a piece of code calls or passes on."""
    helpers = {"on_copy", "may", "fail", "on_one", "restart", "continue_list", "caller", "current"}
    found = [(name, find_function(name, near)) for name in CALLED.findall(text) if name not in helpers]
    found += [(name, near) for name in MEMBER_CALLED.findall(text) if name in near.functions]
    return [(name, file) for name, file in found if file]


def only_error(text):
    """The error of code that does nothing but fail: its only `return`."""
    returns = re.findall(r"\breturn\b([^;]*);", text)
    if len(returns) == 1 and returns[0].strip().startswith("fail(") and ERRNO.search(returns[0]):
        return ERRNO.search(returns[0])[1]
    return ""


def hooks_in(text, near, depth=0):
    """The hooks that code asks, or that the functions it calls ask."""
    found = HOOK.findall(text)
    if not found and depth < MOST_CALLS_DEEP:
        for name, file in functions_in(text, near):
            found += hooks_in(file.functions[name], file, depth + 1)
    return tuple(dict.fromkeys(found))


def outer_hooks(place, name):
    """The hooks asked for all operations of a place, before they are told apart: the last one above."""
    if not place.symbol:
        return ()
    at = re.search(rf"\b{name}\b", place.text)
    above = place.text[:at.start()] if at else place.text
    asked = [hook for line in above.splitlines() if re.match(r" {4}\S", line) and not LABEL.search(line)
             for hook in HOOK.findall(line)]
    return tuple(asked[-1:])


def from_table(name, place):
    """`t[OPERATION] = entry<&FUNCTION>` or `{FUNCTION, Hook::HOOK}`; debuggers' operations are a list of their own."""
    row = re.search(rf"\bt\[{name}\] = (?:entry<&(\w+)>|\{{(\w+), Hook::(\w+)\}});", place.text)
    if row:
        return row[1] or row[2], (row[3],) if row[3] else ()
    offset = re.search(rf"\b{name} == first_of_debugger \+ (\d+)|first_of_debugger = {name};", place.text)
    if not offset:
        return None
    function, hook = re.findall(r"Operation\{(\w+), Hook::(\w+)\}", place.text)[int(offset[1] or 0)]
    return function, (hook,)


def in_place(name, place, outer):
    """How a place handles an operation; None: it does not name it. `outer` are the places on the way to it."""
    row = from_table(name, place)
    if row:
        function, hooks = row
        file = find_function(function, place.file)
        body = file.functions[function]
        return Handling(f"{function} ({file.path.relative_to(FOLDER)})", hooks or hooks_in(body, file), only_error(body))
    statement = statement_of(name, place.text)
    if statement is None and place.symbol and re.search(rf"\b{name}\b", place.text):
        statement = ""  # compared in another way, or in a list
    if statement is None:
        return None
    called = [(function, file) for function, file in functions_in(statement, place.file) if function != place.symbol]
    hooks = hooks_in(statement, place.file)
    for passed in [place, *reversed(outer)]:
        hooks = hooks or outer_hooks(passed, name)
    if not called:
        return Handling(place.label(), hooks, only_error(statement))
    function, file = called[0]
    error = only_error(statement) or only_error(file.functions[function])
    return Handling(f"{function} ({file.path.relative_to(FOLDER)})", hooks, error)


def handling(operation, family):
    """What becomes of an operation."""
    places = [Place(text) for text in family["dispatch"]]
    for i, place in enumerate(places):
        found = in_place(operation.name, place, places[:i])
        if found:
            return found
    hooks = next((h for p in places if (h := outer_hooks(p, operation.name))), ())
    return Handling("", hooks, family.get("unlisted") or unlisted_error(places))


def unlisted_error(places):
    """The error for numbers that are not named: what `default:` says."""
    for place in reversed(places):
        found = UNLISTED.findall(place.text)
        if found:
            return found[-1]
        if "t.fill(entry<&no_such_call>)" in place.text:
            return only_error(place.file.functions["no_such_call"])
    raise ValueError(f"{places[0].label()} does not say what becomes of other numbers")
