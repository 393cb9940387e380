"""Where benchmarks leave their results: one JSON file with the figures, raw samples beside it."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).parent / "results"


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


def write(name: str, figures: dict[str, float], raw: object) -> Path:
    """Write `results/NAME.json` and the raw samples, print a table; the path of the first."""
    RESULTS.mkdir(exist_ok=True)
    samples = RESULTS / f"{name}.raw.json"
    samples.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    result = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": {key: round(value, 4) for key, value in figures.items()},
        "raw": samples.name,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    width = max(map(len, figures), default=0)
    for key, value in figures.items():
        print(f"{name}.{key:<{width}}  {value:,.4g}")
    return path
