"""Where benchmarks leave their results: one JSON file with the figures, raw samples beside it."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.options import Options

RESULTS: Final = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that counts, and what each round alone would have said: its spread."""

    value: float
    rounds: Sequence[float]


def median(rounds: Sequence[float]) -> Figure:
    """The figure that its middle round gives."""
    return Figure(statistics.median(rounds), rounds)


def total(rounds: Sequence[float]) -> Figure:
    """The figure that counts what must never happen, in any round."""
    return Figure(sum(rounds), rounds)


def least(rounds: Sequence[float]) -> Figure:
    """The figure of the worst round, where more is better."""
    return Figure(min(rounds), rounds)


def against_floor(key: str, measured: Figure, floor: Figure) -> dict[str, Figure]:
    """The figure, its floor of the same rounds, and the median of the rounds' ratios."""
    ratios = [one / bare for one, bare in zip(measured.rounds, floor.rounds, strict=True)]
    return {key: measured, f"{key}_floor": floor, f"{key}_ratio": median(ratios)}


def machine() -> str:
    """What the figures were measured on, in one line."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = os.cpu_count()
    return f"{cpu}, {cores} cores, {memory_gib:.0f} GiB, Linux {platform.release()}"


def report(name: str, figures: Mapping[str, Figure], raw: object, options: Options) -> None:
    """Print the figures, and write them with the raw samples if the options say so."""
    if options.writes:
        _write(name, figures, raw)
    _show(name, figures)


def _write(name: str, figures: Mapping[str, Figure], raw: object) -> None:
    RESULTS.mkdir(exist_ok=True)
    samples = RESULTS / f"{name}.raw.json"
    samples.write_text(json.dumps(raw, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    result = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": {key: round(figure.value, 4) for key, figure in figures.items()},
        "rounds": {key: [round(one, 4) for one in f.rounds] for key, f in figures.items()},
        "raw": samples.name,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _show(name: str, figures: Mapping[str, Figure]) -> None:
    width = max(map(len, figures), default=0)
    for key, figure in figures.items():
        low, high = min(figure.rounds), max(figure.rounds)
        spread = f"{low:,.4g} to {high:,.4g} in {len(figure.rounds)} rounds"
        print(f"{name}.{key:<{width}}  {figure.value:>10,.4g}  ({spread})")
