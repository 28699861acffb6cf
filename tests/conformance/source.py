# SPDX-License-Identifier: GPL-2.0-only
"""C++ sources as far as a table of operations needs them: text without comments, functions, calls."""
import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((?:.*?)\)"|"(?:\\.|[^"\\\n])*"', re.DOTALL)
STATIC_ASSERT = re.compile(r"static_assert\s*\(")
NAME_BEFORE_PARENTHESIS = re.compile(r"\b(\w+)\s*\(")
BODY_FOLLOWS = re.compile(r"\s*(?:const\b|noexcept\b|override\b|\s)*(?:->[^{;]*)?\{")
NO_FUNCTIONS = {"if", "for", "while", "switch", "catch", "constexpr", "decltype", "alignas"}
PAIRS = {"(": ")", "{": "}", "[": "]"}


def without_comments(text):
    """Comments and the contents of strings become white space and empty strings."""
    return TOKENS.sub(lambda m: '""' if m[0][0] in 'R"' else " ", text)


def closing(text, start):
    """The index of the bracket that closes the one at `start`."""
    depth, opening = 0, text[start]
    for i in range(start, len(text)):
        depth += (text[i] == opening) - (text[i] == PAIRS[opening])
        if depth == 0:
            return i
    raise ValueError(f"unbalanced {opening}")


def without_static_asserts(text):
    """What only the compiler looks at is no call."""
    while found := STATIC_ASSERT.search(text):
        text = text[:found.start()] + text[closing(text, found.end() - 1) + 1:]
    return text


class Source:
    """One file: its code and the bodies of its functions, overloads joined."""

    def __init__(self, path):
        self.path = path
        self.text = without_comments(path.read_text())
        self.functions = {}
        for found in NAME_BEFORE_PARENTHESIS.finditer(self.text):
            if found[1] in NO_FUNCTIONS:
                continue
            after = closing(self.text, found.end() - 1) + 1
            body = BODY_FOLLOWS.match(self.text, after)
            if body:
                end = closing(self.text, body.end() - 1)
                self.functions[found[1]] = self.functions.get(found[1], "") + self.text[body.end():end]

    def part(self, symbol):
        """The body of a function, the initialiser of a variable, or without a symbol all of the code."""
        if not symbol:
            return self.text
        if symbol in self.functions:
            return self.functions[symbol]
        variable = re.search(rf"\b{symbol} = ([^;]*);", self.text)
        if not variable:
            raise KeyError(f"{self.path.relative_to(ROOT)} has no {symbol}")
        return variable[1]


@functools.cache
def load(path):
    return Source(path)


def sources(pattern):
    return [load(path) for path in sorted(ROOT.glob(pattern))]
