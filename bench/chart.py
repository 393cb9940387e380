"""Line charts of bench results as PNG: drawn as SVG, which a headless browser renders."""

import csv
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from bench.results_file import RESULTS

WIDTH, HEIGHT, MARGIN = 900, 500, 70
COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b")
TICKS: Final = 5
BROWSER: Final = "chromium"
Line = Sequence[tuple[float, float]]


def memory_over_time(name: str, files: Sequence[Path]) -> None:
    """The memory that all guests take, with compressed swap, one line for each mode."""
    lines = {
        path.stem.removeprefix(f"{name}-"): [(float(row["at_s"]), _taken(row)) for row in rows]
        for path, rows in _tables(files)
    }
    draw(RESULTS / f"{name}-memory.png", lines, ("seconds", "memory of all guests, MiB"))


def memory_over_desktops(name: str, files: Sequence[Path]) -> None:
    """The same while the node is filled, over the number of desktops."""
    lines = {
        path.stem.removeprefix(f"{name}-"): [
            (float(row["desktops"]), _taken(row)) for row in rows if row["phase"] == "fill"
        ]
        for path, rows in _tables(files)
    }
    draw(RESULTS / f"{name}-fill.png", lines, ("desktops", "memory of all guests, MiB"))


def _tables(files: Sequence[Path]) -> Iterator[tuple[Path, list[dict[str, str]]]]:
    for path in files:
        with path.open(encoding="ascii") as file:
            yield path, list(csv.DictReader(file))


def _taken(row: Mapping[str, str]) -> float:
    return float(row["guests_mib"]) + float(row.get("zram_mib") or 0)


def seconds(name: str, samples: Mapping[str, Sequence[float]]) -> None:
    """How long each login took, over the number of desktops that were there."""
    lines = {mode: list(enumerate(taken, 1)) for mode, taken in samples.items()}
    draw(RESULTS / f"{name}-logins.png", lines, ("desktops", "request to window, s"))


def draw(path: Path, lines: Mapping[str, Line], axes: tuple[str, str]) -> None:
    """Write the chart; without the browser, its SVG."""
    text = svg(lines, axes)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "chart.svg"
        source.write_text(text, encoding="utf-8")
        try:
            subprocess.run(
                [
                    BROWSER, "--headless", "--no-sandbox", "--hide-scrollbars",
                    f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{HEIGHT}",
                    f"--screenshot={path}", source.as_uri(),
                ],
                check=True, capture_output=True, timeout=60,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            path.with_suffix(".svg").write_text(text, encoding="utf-8")
            print(f"{path.name} is written as SVG: {error}")


def svg(lines: Mapping[str, Line], axes: tuple[str, str]) -> str:
    """The chart: axes from zero, with ticks, and a legend."""
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
