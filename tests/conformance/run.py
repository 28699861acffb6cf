#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""How Streak answers each operation of the ABI: docs/conformance.md, made from the headers of libxen-dev, the sources of
hypervisor/, and those of the tests. `--check` says whether the committed page is what would be made now, and whether
each operation has a handler with a hook and a test, or a refusal that a test sees."""
import dataclasses
import fnmatch
import pathlib
import sys
import tomllib

import abi
import evidence
import handlers
import refusals
import source

HERE = pathlib.Path(__file__).resolve().parent
PAGE = source.ROOT / "docs/conformance.md"
MOST_TESTS_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Row:
    operation: abi.Operation
    handling: handlers.Handling
    tests: tuple

    @property
    def refused(self):
        return bool(self.handling.error)


@dataclasses.dataclass
class Table:
    families: dict
    notes: dict
    rows: list
    excluded: dict  # pattern to operations
    problems: list  # (what is wrong, names)


def read_toml(name):
    return tomllib.loads((HERE / name).read_text())


def exclusion_of(operation, patterns):
    return next((pattern for pattern in patterns if fnmatch.fnmatchcase(operation.name, pattern)), None)


def with_parents_hook(found, family, known):
    """A sub-operation whose own code asks nothing is behind the hook of the operation it belongs to."""
    parent = family.get("of", "")
    if found.hooks or parent.startswith("__HYPERVISOR_") or parent not in known:
        return found
    return dataclasses.replace(found, hooks=known[parent].hooks)


def handling_of(operation, family, notes, known):
    """As the sources have it; by the notes where an operation is handled without being named."""
    found = handlers.handling(operation, family)
    noted = notes["handled_unnamed"].get(operation.name)
    if noted and not found.handler:
        place = handlers.Place(noted["by"])
        found = handlers.Handling(place.label(), found.hooks, "")
    return with_parents_hook(found, family, known)


def make_table():
    families = {family["title"]: family for family in read_toml("families.toml")["family"]}
    notes = read_toml("notes.toml")
    excluded = {pattern: [] for pattern in notes["excluded"]}
    known, rows = {}, []
    all_tests = evidence.tests()
    for family in families.values():
        for operation in abi.operations_of(family):
            pattern = exclusion_of(operation, excluded)
            if pattern:
                excluded[pattern].append(operation)
                continue
            known[operation.name] = found = handling_of(operation, family, notes, known)
            rows.append(Row(operation, found, tuple(tests_of(operation, found, family, notes, all_tests))))
    table = Table(families, notes, rows, excluded, [])
    table.problems = problems(table)
    return table


def tests_of(operation, found, family, notes, all_tests):
    tests = evidence.tests_of(operation.name, all_tests)
    if found.error and family.get("via"):
        tests.append(evidence.REFUSALS)
    witness = notes["witness"].get(operation.name)
    if witness:
        tests.append(witness["test"])
    return list(dict.fromkeys(tests))


def problems(table):
    """What must not be, each with the operations or notes it is true of."""
    rows, notes = table.rows, table.notes
    by_name = {row.operation.name: row for row in rows}
    bare = [row.operation.name for row in rows if not row.handling.hooks and not row.refused]
    sighted = [name for name in notes["handled_unnamed"] if name not in by_name or
               handlers.handling(by_name[name].operation, table.families[by_name[name].operation.family]).handler]
    return [
        ("operations without a test", [row.operation.name for row in rows if not row.tests]),
        ("operations without a hook", [name for name in bare if name not in notes["no_hook"]]),
        ("notes on operations that ask a hook", [name for name in notes["no_hook"] if name not in bare]),
        ("notes on operations that are named", sighted),
        ("exclusions of nothing", [pattern for pattern, operations in table.excluded.items() if not operations]),
        ("witnesses that are gone", [name for name, w in notes["witness"].items() if name not in by_name or
                                     w["text"] not in (source.ROOT / w["file"]).read_text()]),
    ]


def named_tests(row):
    more = len(row.tests) - MOST_TESTS_NAMED
    return ", ".join(row.tests[:MOST_TESTS_NAMED]) + (f" and {more} more" if more > 0 else "")


def line_of(row, parents):
    found = row.handling
    does = f"refused: {found.error}" if row.refused else f"`{found.handler}`"
    hooks = "each operation's own" if row.operation.name in parents and not row.refused else ", ".join(found.hooks)
    return (f"| `{row.operation.name}` | {row.operation.number} | {does} | {hooks or '–'} | "
            f"{named_tests(row) or '**none**'} |")


def parents_of_several(table):
    """Operations whose sub-operations ask several hooks, and those that are older forms of them."""
    asked = {}
    for row in table.rows:
        parent = table.families[row.operation.family].get("of")
        asked.setdefault(parent, set()).update(row.handling.hooks)
    several = {parent for parent, hooks in asked.items() if len(hooks) > 1}
    return several | {f"{parent}_compat" for parent in several if parent}


def totals(table):
    refused = sum(row.refused for row in table.rows)
    untested = sum(not row.tests for row in table.rows)
    excluded = sum(len(operations) for operations in table.excluded.values())
    return (f"{len(table.rows)} operations: {len(table.rows) - refused} carried out, {refused} refused; "
            f"{len(table.rows) - untested} with a test, {untested} without. {excluded} others are left out.")


def page(table):
    lines = ["# Conformance", "",
             "Made by `make conformance` from the headers of `libxen-dev`, the hypervisor's sources and those of the tests; "
             "`make test-checks` fails when it is not current. [The ABI](abi.md) says why operations are refused.", "",
             totals(table)]
    parents = parents_of_several(table)
    for title in table.families:
        rows = [row for row in table.rows if row.operation.family == title]
        if rows:
            lines += ["", f"## {title}", "", "| operation | number | handler | hook | test |", "|---|---|---|---|---|"]
            lines += [line_of(row, parents) for row in rows]
    lines += ["", "## Left out", "", "| operations | how many | why |", "|---|---|---|"]
    lines += [f"| `{pattern}` | {len(table.excluded[pattern])} | {why} |" for pattern, why in table.notes["excluded"].items()]
    lines += ["", "## Without a hook", "", "| operation | why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in table.notes["no_hook"].items()]
    return "\n".join(lines) + "\n"


def files(table):
    return {PAGE: page(table), evidence.REFUSALS_LIST: refusals.text(table.rows, table.families)}


def check(table):
    old = [str(path.relative_to(source.ROOT)) for path, text in files(table).items()
           if not path.exists() or path.read_text() != text]
    found = [*table.problems, ("files that `make conformance` would change", old)]
    for what, names in found:
        print(f"{'FAIL' if names else 'ok  '}  conformance: {what}: {', '.join(names) or 'none'}")
    failed = sum(bool(names) for _, names in found)
    print(f"{len(found) - failed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    table = make_table()
    if sys.argv[1:] == ["--check"]:
        return check(table)
    for path, text in files(table).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    print(totals(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
