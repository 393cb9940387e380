"""Line charts of bench results as PNG: drawn as SVG, which a headless browser renders."""

import csv
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.results_file import RESULTS
from qvdnode.plan.line_chart import HEIGHT, WIDTH, Line, svg

BROWSER: Final = "chromium"


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
