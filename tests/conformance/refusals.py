# SPDX-License-Identifier: GPL-2.0-only
"""The list of calls that tests/guests/refusals makes: all that the sources refuse, with the error they give."""

HEAD = """// SPDX-License-Identifier: GPL-2.0-only
// Made by tests/conformance/run.py from the headers and the hypervisor's sources; `make conformance` makes it again.
#pragma once

// clang-format off
inline constexpr Refusal refusals[] = {
"""
TAIL = """};
// clang-format on
"""


def listed(rows, families):
    """(via, row) of the refusals that can be seen by a call made in the usual way."""
    return [(families[row.operation.family]["via"], row) for row in rows
            if row.handling.error and families[row.operation.family].get("via")]


def text(rows, families):
    lines = [f'    {{Via::{via}, {row.operation.number}, XEN_{row.handling.error}, "{row.operation.name}"}},\n'
             for via, row in listed(rows, families)]
    return HEAD + "".join(lines) + TAIL
