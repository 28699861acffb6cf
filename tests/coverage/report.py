#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the hosted tests run, from the counts of their programs: a table by folder, and each function that nothing runs.

tests/coverage/uncovered.txt says of each why; one that is not there, or one there that is run or gone, fails.

usage: report.py --runs build/coverage/runs [--list FILE] --hosted SOURCE...
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = ROOT / "tests/coverage/uncovered.txt"
# The folders that are pure as a whole: what is not hosted there needs a reason, too.
PURE = ["dom0-tools/*", "hypervisor/loader", "hypervisor/evtchn", "hypervisor/grant", "hypervisor/sched", "xsm"]
BATCH = 40  # files for one run of gcov


class Counts:
    """Lines and functions of the hosted sources with how often they ran, in all instances and programs together."""

    def __init__(self):
        self.lines = collections.defaultdict(dict)      # file: {line: count}
        self.functions = collections.defaultdict(dict)  # file: {first line: (name, count)}

    def add(self, record):
        file = record["file"]
        if not file.startswith(("hypervisor/", "xsm/", "dom0-tools/")):
            return
        lines, functions = self.lines[file], self.functions[file]
        for line in record["lines"]:
            number = line["line_number"]
            lines[number] = lines.get(number, 0) + line["count"]
        for function in record["functions"]:
            start = function["start_line"], function["start_column"]
            name, before = functions.get(start, (plain_name(function["demangled_name"]), 0))
            functions[start] = name, before + function["execution_count"]

    def uncovered(self, file):
        """Names of functions that never ran."""
        return sorted(name for name, count in self.calls(file).items() if count == 0)

    def calls(self, file):
        """Functions with how often they ran. (Of some with one name: the least; a closure is a part of its function.)"""
        calls = {}
        for name, count in self.functions[file].values():
            if "{lambda" not in name:
                calls[name] = min(calls.get(name, count), count)
        return calls


def plain_name(name):
    """A demangled function without what it takes and returns, templates' arguments and anonymous namespaces."""
    name = re.sub(r"\(anonymous namespace\)::|\[abi:\w+\]|\[clone[^]]*\]", "", name)
    name = name.replace("operator ", "operator_")
    name = re.sub(r"operator(\(\)|<=>|<<|>>|->|<|>)", lambda m: "operator@" + "".join(f"{ord(c)};" for c in m[1]), name)
    while True:
        shorter = re.sub(r"<[^<>]*>", "", name)
        if shorter == name:
            break
        name = shorter
    depth, kept = 0, ""
    for letter in name:
        depth += letter == "("
        if depth == 0:
            kept += letter
        depth -= letter == ")"
    name = re.sub(r" (const|&|&&|volatile)+$", "", kept.strip()).split(" ")[-1]
    name = re.sub(r"operator@((?:\d+;)+)", lambda m: "operator" + "".join(chr(int(c)) for c in m[1].split(";")[:-1]), name)
    return name.replace("operator_", "operator ").removeprefix("streak::")


def read_counts(runs, gcov):
    """All counts below the folder: gcov wants the compiler's notes beside them."""
    counts = Counts()
    files = sorted(runs.rglob("*.gcda"))
    for data in files:
        program_folder = runs / data.relative_to(runs).parts[0]
        notes = data.with_suffix(".gcno")
        if not notes.exists():
            notes.symlink_to(pathlib.Path("/") / data.relative_to(program_folder).with_suffix(".gcno"))
    for i in range(0, len(files), BATCH):
        output = subprocess.run([gcov, "--json-format", "--stdout", *files[i:i + BATCH]], cwd=ROOT, check=True,
                                stdout=subprocess.PIPE, text=True).stdout
        for document in output.splitlines():
            for record in json.loads(document)["files"]:
                counts.add(record)
    return counts


def folder_of(file):
    return str(pathlib.PurePath(file).parent)


def print_table(counts):
    """By folder: lines that ran of those there are, functions likewise."""
    rows = collections.defaultdict(lambda: [0, 0, 0, 0])
    for file, lines in counts.lines.items():
        functions = counts.calls(file)
        for row in (rows[folder_of(file)], rows["all"]):
            row[0] += sum(count > 0 for count in lines.values())
            row[1] += len(lines)
            row[2] += sum(count > 0 for count in functions.values())
            row[3] += len(functions)
    print(f"{'folder':24}{'lines':>16}{'':8}{'functions':>14}")
    for folder in [*sorted(rows.keys() - {"all"}), "all"]:
        ran, lines, called, functions = rows[folder]
        print(f"{folder:24}{ran:>8} of {lines:<6}{100 * ran / max(lines, 1):5.1f} %{called:>8} of {functions}")


def not_hosted(hosted):
    """Sources of pure folders that no hosted program has."""
    return sorted(str(source.relative_to(ROOT)) for folder in PURE for source in ROOT.glob(f"{folder}/*.cpp")
                  if str(source.relative_to(ROOT)) not in hosted)


def read_list(path):
    """{(file, function, or "" for all of it): reason}"""
    reasons = {}
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+\.[ch]pp)(?: (\S.*?))?: (\S.*)", line)
        if not match:
            sys.exit(f"{path}: not `FILE [FUNCTION]: reason`: {line}")
        reasons[match[1], match[2] or ""] = match[3]
    return reasons


def judge(counts, hosted, reasons):
    """Complaints, and the number of functions and files that have their reason."""
    missing = {(file, name) for file in counts.functions for name in counts.uncovered(file)}
    missing |= {(file, "") for file in not_hosted(hosted)}
    # A reason for all of a file is one while nothing of it runs.
    partly = {file for file in counts.functions if any(counts.calls(file).values())}
    excused = {(file, name) for file, name in missing
               if (file, name) in reasons or (file not in partly and (file, "") in reasons)}
    used = excused | {(file, "") for file, name in excused if (file, name) not in reasons}
    complaints = [f"{file} {name or '(all of it)'}: nothing runs it, and no reason is given" for file, name
                  in sorted(missing - excused)]
    complaints += [f"{file} {name or '(all of it)'}: it is on the list, but runs or is gone" for file, name
                   in sorted(reasons.keys() - used)]
    return complaints, excused


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=pathlib.Path, required=True)
    parser.add_argument("--list", type=pathlib.Path, default=LIST)
    parser.add_argument("--gcov", default="gcov-12")
    parser.add_argument("--hosted", nargs="+", required=True)
    options = parser.parse_args()
    counts = read_counts(options.runs.resolve(), options.gcov)
    print_table(counts)
    reasons = read_list(options.list)
    complaints, excused = judge(counts, set(options.hosted), reasons)
    print("\nNothing hosted runs:")
    for file, name in sorted(excused):
        print(f"  {file} {name}".rstrip() + ": " + (reasons.get((file, name)) or reasons[file, ""]))
    for complaint in complaints:
        print(f"FAIL  {complaint}")
    total = sum(len(counts.calls(file)) for file in counts.functions) + len(not_hosted(options.hosted))
    print(f"{total - len(complaints)} passed, {len(complaints)} failed")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
