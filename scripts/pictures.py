"""Turns what a terminal shows, with its colours (standard input), into a picture (SVG, standard output).

Argument: the window's title.
"""

import html
import re
import sys

WIDTH, HEIGHT, SIZE = 8.4, 18, 14  # of a letter, of a line, of the font: pixels
PLAIN = "#d0d0d0"
COLOURS = ["#555555", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d0d0d0"]


def style(codes, now):
    """The style after the numbers of an escape sequence; others than colours, bold and faint change nothing."""
    now = dict(now)
    for code in codes:
        if code == 0:
            now = {}
        elif code == 1:
            now["font-weight"] = "bold"
        elif code == 2:
            now["opacity"] = "0.6"
        elif code == 22:
            now.pop("font-weight", None)
            now.pop("opacity", None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            now["fill"] = COLOURS[code % 10]
        elif code == 39:
            now.pop("fill", None)
    return now


lines = sys.stdin.read().rstrip("\n").split("\n")
while lines and not re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip():
    lines.pop()
width = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip()) for line in lines)
across, down = int((max(width, 40) + 4) * WIDTH), len(lines) * HEIGHT + 52
print(
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}" width="{across}" height="{down}" '
    f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="{SIZE}">'
)
print(f'<rect width="{across}" height="{down}" rx="8" fill="#1e2127"/>')
for place, colour in enumerate(["#e06c75", "#e5c07b", "#98c379"]):
    print(f'<circle cx="{18 + 18 * place}" cy="16" r="5" fill="{colour}"/>')
print(f'<text x="{across // 2}" y="21" text-anchor="middle" fill="#888">{html.escape(sys.argv[1])}</text>')
now = {}
for row, line in enumerate(lines):
    column, spans = 0, []
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b"):
            now = style([int(code or 0) for code in part[2:-1].split(";")], now)
        elif part.strip():
            lead = len(part) - len(part.lstrip())
            text = part.strip()
            made = "".join(f' {name}="{value}"' for name, value in {"fill": PLAIN, **now}.items())
            # Each piece is as wide as its letters, whatever the font.
            spans.append(
                f'<tspan x="{(column + lead + 2) * WIDTH:.1f}" textLength="{len(text) * WIDTH:.1f}"{made}>'
                f"{html.escape(text)}</tspan>"
            )
            column += len(part)
        else:
            column += len(part)
    if spans:
        print(f'<text y="{row * HEIGHT + 50}" xml:space="preserve">{"".join(spans)}</text>')
print("</svg>")
