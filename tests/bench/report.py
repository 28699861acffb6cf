# SPDX-License-Identifier: GPL-2.0-only
"""The figures of `make bench` for programs (JSON) and as a picture (SVG): a bar is Streak's part of the incumbent's count."""
import json
from html import escape

ROW, LEFT, WIDTH, RIGHT = 20, 260, 400, 120  # of the picture, in pixels
OURS, LONGER, EVEN = "#2b6cb0", "#c05621", "#888"


def write(folder, report):
    """bench.json and bench.svg in `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(report, indent=1) + "\n")
    (folder / "bench.svg").write_text(picture(report["operations"]))
    return folder / "bench.json", folder / "bench.svg"


def picture(operations):
    """Bars of all operations that both have; the vertical line is the incumbent."""
    both = {name: (pair["streak"], pair["xen"]) for name, pair in operations.items() if pair["xen"]}
    longest = max([ours / theirs for ours, theirs in both.values()] + [1.0])
    height, scale = ROW * (len(both) + 2), WIDTH / longest
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" height="{height}" '
             'font-family="sans-serif" font-size="12">',
             f'<text x="{LEFT}" y="14">instructions per operation, Streak / Xen 4.17 (line: Xen)</text>']
    for row, (name, (ours, theirs)) in enumerate(both.items(), start=1):
        y, ratio = ROW * row + 4, ours / theirs
        lines += [f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
                  f'<rect x="{LEFT}" y="{y}" width="{ratio * scale:.1f}" height="{ROW - 6}" '
                  f'fill="{OURS if ratio <= 1 else LONGER}"/>',
                  f'<text x="{LEFT + ratio * scale + 6:.1f}" y="{y + 12}">{ours} / {theirs}</text>']
    x = LEFT + scale
    lines += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{ROW}" y2="{height - ROW / 2}" stroke="{EVEN}"/>', "</svg>"]
    return "\n".join(lines) + "\n"
