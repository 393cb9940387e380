"""Line charts as SVG: axes from zero, with ticks, and a legend."""

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 900, 500, 70
COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b")
TICKS: Final = 5
Line = Sequence[tuple[float, float]]


def svg(lines: Mapping[str, Line], axes: tuple[str, str]) -> str:
    """The chart of these lines, by their names; `axes` are the titles of x and y."""
    points = [point for line in lines.values() for point in line]
    most_x = max((x for x, _ in points), default=1.0) or 1.0
    most_y = max((y for _, y in points), default=1.0) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        wide, high = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
        return MARGIN + wide * x / most_x, HEIGHT - MARGIN - high * y / most_y

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for number in range(TICKS + 1):
        x, y = most_x * number / TICKS, most_y * number / TICKS
        at_x, at_y = place(x, 0)[0], place(0, y)[1]
        parts += [
            _text(at_x, HEIGHT - MARGIN + 18, f"{x:.4g}", "middle"),
            _text(MARGIN - 8, at_y + 4, f"{y:.4g}", "end"),
            f'<path d="M{MARGIN} {at_y:.1f}H{WIDTH - MARGIN}" stroke="#ddd"/>',
        ]
    parts += [
        _text(WIDTH / 2, HEIGHT - 20, axes[0], "middle"),
        _text(MARGIN, MARGIN - 30, axes[1], "start"),
    ]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            _text(WIDTH - MARGIN, MARGIN - 40 + 16 * number, name, "end", colour),
        ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
    return head + 'font-family="sans-serif" font-size="13">' + "".join(parts) + "</svg>"


def _text(x: float, y: float, text: str, anchor: str, colour: str = "black") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(text)}</text>"
