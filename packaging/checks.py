#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a look at the sources and the image can tell.

* The budgets: lines of code of the trusted base (hypervisor/ and xsm/), of the toolstack and, apart from it, of its
  debugging tools (dom0-tools/debug, docs/decisions/0012); bytes of the compressed image.
* Every hook of xsm/hooks.def is asked somewhere, and every handler of the hypercall table asks one (or is in a file that
  does, for the operations it tells apart).
* The image holds no path of this machine, so that it is the same everywhere.
* The sources are formatted.
* Every test that docs/advisories.md names is there.
* Every operation of the ABI has a hook and a test (tests/conformance).

usage: checks.py IMAGE
"""
import gzip
import pathlib
import re
import subprocess
import sys

MOST_LINES, MOST_TOOL_LINES, MOST_DEBUG_LINES = 20_000, 15_000, 1_500
MOST_BYTES = 200 * 1024
ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def lines_of_code(path):
    """Lines with something besides white space and comments."""
    text = COMMENT.sub("", path.read_text())
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("//"))


def total_lines(*folders):
    return sum(lines_of_code(p) for folder in folders for p in (ROOT / folder).rglob("*")
               if p.suffix in (".cpp", ".hpp", ".S", ".def"))


def hooks_nobody_asks(sources):
    hooks = re.findall(r"^XSM_HOOK\((\w+)", (ROOT / "xsm/hooks.def").read_text(), re.MULTILINE)
    asked = set(re.findall(r"Hook::(\w+)", "".join(sources)))
    return sorted(set(hooks) - asked) + sorted(asked - set(hooks) - {"count_"})


def handlers_without_hook(sources):
    handlers = re.findall(r"entry<&(\w+)>", (ROOT / "hypervisor/hypercall/table.cpp").read_text())
    return [h for h in handlers if h != "no_such_call" and not asks(h, sources)]


def asks(function, sources):
    """Does the file that defines the function ask a hook, or do all the functions that its switch leads to?"""
    for source in sources:
        if re.search(rf"^(?:\[\[.*\]\] )?Return {function}\(", source, re.MULTILINE):
            parts = re.findall(r"(?:case \w+:|if \(cmd == \w+\)) return (\w+)\(", source)
            return "Hook::" in source or (bool(parts) and all(asks(part, sources) for part in parts))
    return False


def unformatted():
    """Names of sources that clang-format would change."""
    names = subprocess.run(["git", "-C", str(ROOT), "ls-files", "*.cpp", "*.hpp"], check=True, capture_output=True,
                           text=True).stdout.split()
    result = subprocess.run(["clang-format-19", "--dry-run", "--Werror", *names], cwd=ROOT, capture_output=True, text=True)
    return sorted({line.split(":")[0] for line in result.stderr.splitlines() if "error:" in line})


def stories_that_are_gone():
    """Guests and checks of docs/advisories.md that tests/guests lacks. A row may name several guests: one has the check."""
    gone = []
    for row in re.findall(r"^\| .* \| (`.*`) \| (\".*\") \|$", (ROOT / "docs/advisories.md").read_text(), re.MULTILINE):
        guests = re.findall(r"`([\w-]+)`", row[0])
        paths = [ROOT / "tests/guests" / guest / "main.cpp" for guest in guests]
        gone += [guest for guest, path in zip(guests, paths) if not path.exists()]
        text = "".join(path.read_text() for path in paths if path.exists())
        text = re.sub(r'"\s*\n\s*"', "", text)
        gone += [f'{guests[0]}: "{check}"' for check in re.findall(r'"([^"]*)"', row[1]) if f'"{check}"' not in text]
    return gone


def main():
    sources = [p.read_text() for p in (ROOT / "hypervisor/hypercall").glob("*.cpp")]
    lines, debug = total_lines("hypervisor", "xsm"), total_lines("dom0-tools/debug")
    tools = total_lines("dom0-tools") - debug
    size = pathlib.Path(sys.argv[1]).stat().st_size
    idle, bare, crooked = hooks_nobody_asks(sources), handlers_without_hook(sources), unformatted()
    gone = stories_that_are_gone()
    found = ((lines <= MOST_LINES, f"lines of code of the trusted base: {lines} of {MOST_LINES}"),
             (tools <= MOST_TOOL_LINES, f"lines of code of the toolstack: {tools} of {MOST_TOOL_LINES}"),
             (debug <= MOST_DEBUG_LINES, f"lines of code of the debugging tools: {debug} of {MOST_DEBUG_LINES}"),
             (size <= MOST_BYTES, f"bytes of the compressed image: {size} of {MOST_BYTES}"),
             (not idle, f"hooks that nobody asks, or that don't exist: {', '.join(idle) or 'none'}"),
             (not bare, f"hypercalls without a hook: {', '.join(bare) or 'none'}"),
             (not gone, f"tests of docs/advisories.md that are gone: {', '.join(gone) or 'none'}"),
             (str(ROOT).encode() not in gzip.decompress(pathlib.Path(sys.argv[1]).read_bytes()),
              "the image does not know where it was built"),
             (not crooked, f"sources that `make format` would change: {', '.join(crooked) or 'none'}"))
    for good, text in found:
        print(f"{'ok  ' if good else 'FAIL'}  {text}")
    failed = sum(not good for good, _ in found)
    print(f"{len(found) - failed} passed, {failed} failed", flush=True)
    conforms = subprocess.run([sys.executable, "-B", ROOT / "tests/conformance/run.py", "--check"]).returncode == 0
    return 1 if failed or not conforms else 0


if __name__ == "__main__":
    sys.exit(main())
