# SPDX-License-Identifier: GPL-2.0-only
"""The symbols a Linux kernel carries in itself (CONFIG_KALLSYMS), read from its stripped ELF file.

scripts/kallsyms.c writes, up to Linux 6.3, in about this order and each aligned to 8 bytes: an offset of 4 bytes for each symbol, the
base, the number of symbols, the compressed names, a marker for each 256th name, 256 tokens, the tokens' index. Nothing names
these tables in a stripped file: they are found by the tokens of the digits, which stand for themselves.
"""
import struct

DIGITS = b"".join(bytes((digit, 0)) for digit in range(ord("0"), ord("9") + 1))
TOKENS, NAMES_PER_MARKER = 256, 256
LEAST_MARKERS, MOST_BYTES_BETWEEN = 64, 4 << 20
MOST_NAME_BYTES = 64 * NAMES_PER_MARKER


class NotFound(Exception):
    """The file holds no such tables, or in another order."""


def words(data, at, count, size="I"):
    return struct.unpack_from(f"<{count}{size}", data, at)


def token_tables(data):
    """(start of the tokens, the tokens)"""
    at = data.find(DIGITS)
    while at >= 0:
        start = at
        for _ in range(ord("0")):  # tokens before that of `0`
            start = data.rfind(b"\0", 0, start - 1) + 1
        tokens = data[start:start + 16 * TOKENS].split(b"\0")[:TOKENS]
        index = start + sum(len(token) + 1 for token in tokens)
        index += -index % 8
        starts = [sum(len(token) + 1 for token in tokens[:count]) for count in range(TOKENS)]
        if list(words(data, index, TOKENS, "H")) == starts:
            return start, tokens
        at = data.find(DIGITS, at + 1)
    raise NotFound("no table of tokens")


def markers_before(data, end):
    """(start, markers): ascending numbers from 0 on, each a plausible way behind the last. Later kernels (and 6.1's updates) have
    the order by name, 3 bytes for each symbol, between them and the tokens."""
    for at in range(end & ~7, max(end - MOST_BYTES_BETWEEN, 0), -8):
        if data[at:at + 4] != b"\0\0\0\0":
            continue
        markers = [0]
        while True:
            following, = words(data, at + 4 * len(markers), 1)
            if not 2 * NAMES_PER_MARKER < following - markers[-1] < MOST_NAME_BYTES:
                break
            markers.append(following)
        if len(markers) >= LEAST_MARKERS:
            return at, markers
    raise NotFound("no markers")


def names(data, at, count, tokens):
    """Type and name of each symbol, and where they end."""
    found = []
    for _ in range(count):
        length = data[at]
        at += 1
        if length & 0x80:
            length, at = length & 0x7f | data[at] << 7, at + 1
        found.append(b"".join(tokens[code] for code in data[at:at + length]).decode(errors="replace"))
        at += length
    return found, at


def functions(data):
    """{address: name} of a kernel's text symbols."""
    start, tokens = token_tables(data)
    markers_at, markers = markers_before(data, start)
    for names_at in range(markers_at - markers[-1] - markers[-1] % 8, markers_at - markers[-1] - MOST_NAME_BYTES, -1):
        if names_at % 8:
            continue
        count = words(data, names_at - 8, 1)[0]
        if -(-count // NAMES_PER_MARKER) != len(markers):
            continue
        found, end = names(data, names_at, count, tokens)
        if not 0 <= markers_at - end < 8:
            continue
        base, = words(data, names_at - 16, 1, "Q")
        offsets = words(data, names_at - 16 - (count * 4 + 7) // 8 * 8, count, "i")
        # With CONFIG_KALLSYMS_ABSOLUTE_PERCPU what is not negative is a per-CPU offset.
        return {base - 1 - offset: name[1:] for offset, name in reversed(list(zip(offsets, found)))
                if offset < 0 and name[0] in "tTwW"}
    raise NotFound("no names")
