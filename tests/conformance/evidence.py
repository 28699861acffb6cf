# SPDX-License-Identifier: GPL-2.0-only
"""Which tests make which calls: the constants that a test's code uses, itself or by the functions of its library."""
import re

import source

WORD = re.compile(r"\b\w+\b")
CALL = re.compile(r"\b(\w+)\s*(?:<[^<>;]*>)?\(")
# Fuzzers and benchmarks make calls without a word on what is promised.
NO_TESTS = {"bench", "hypercall-fuzz"}
RUNTIME_ENTRY = "guest_start"
REFUSALS = "guest refusals"
REFUSALS_LIST = source.ROOT / "tests/guests/refusals/list.hpp"


class Library:
    """Functions that make calls on behalf of tests."""

    def __init__(self, *patterns):
        self.bodies = {}
        for pattern in patterns:
            for file in source.sources(pattern):
                for name, body in file.functions.items():
                    self.bodies[name] = self.bodies.get(name, "") + body

    def words(self, function, seen=None):
        """The words of a function and of those that it calls."""
        seen = set() if seen is None else seen
        if function in seen or function not in self.bodies:
            return set()
        seen.add(function)
        body = self.bodies[function]
        found = set(WORD.findall(body))
        for called in set(CALL.findall(body)):
            found |= self.words(called, seen)
        return found


def words_of_test(files, library):
    """The words of a test's files and of the library functions that they call."""
    texts = [source.without_static_asserts(file.text) for file in files]
    own = {name for file in files for name in file.functions}
    found = {word for text in texts for word in WORD.findall(text)}
    for called in {name for text in texts for name in CALL.findall(text)} - own:
        found |= library.words(called)
    return found


def by_folder(pattern):
    folders = {}
    for file in source.sources(pattern):
        folders.setdefault(file.path.parent.name, []).append(file)
    return folders


def tests():
    """Name of a test to the words of its code."""
    guests = Library("tests/guests/lib/*.cpp", "tests/guests/lib/*.hpp")
    found = {"every guest": guests.words(RUNTIME_ENTRY)}
    for name, files in by_folder("tests/guests/*/main.cpp").items():
        if name not in NO_TESTS:
            found[f"guest {name}"] = words_of_test(files, guests) - found["every guest"]
    calls = Library("dom0-tools/hv/*.cpp", "dom0-tools/hv/*.hpp", "dom0-tools/builder/*.cpp")
    for name, files in by_folder("tests/system/*_probe/*.[ch]pp").items():
        found[f"probe {name}"] = words_of_test(files, calls)
    return found


def tests_of(operation, all_tests):
    return [name for name, words in all_tests.items() if operation in words]
