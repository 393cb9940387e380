"""How many desktops a node holds, and what each step of memory optimisation saves.

Users log in through the port for clients, one after the other at the given rate, each with a real
nxproxy onto one Xvfb. Then all but some leave, their desktops hibernate, and a sample comes back.
Every mode has a node of its own: all steps off, merging alone, hibernation alone, both.

A run ends early when the host runs short of memory or time, and removes what it made in any case.
Results are written after each mode, so that a run that was broken off can go on with `--modes`.
"""

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bench import chart, density_run
from bench.density_run import MODES, Run, Wanted
from bench.results_file import RESULTS, machine
from bench.running import run


def parsed() -> tuple[Wanted, list[str], bool, bool]:
    """What was asked for: the run, its modes, whether to print JSON, whether to write nothing."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.density", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--desktops", type=int, default=20, metavar="N")
    parser.add_argument("--connected", type=int, default=5, metavar="M", help="who stay (5)")
    parser.add_argument("--image", default="icewm", help="icewm, xfce, lxde or mate")
    parser.add_argument("--logins-per-min", type=float, default=60.0, help="at most so many (60)")
    parser.add_argument("--sample", type=int, default=20, help="who come back (20)")
    parser.add_argument("--floor-mib", type=int, default=1536, help="no start below that (1536)")
    parser.add_argument("--limit-s", type=float, default=900.0, help="for one mode (900)")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    asked = parser.parse_args()
    wanted = Wanted(
        asked.desktops, asked.connected, asked.image, asked.logins_per_min, asked.sample,
        asked.floor_mib, asked.limit_s,
    )  # fmt: skip
    return wanted, asked.modes, asked.json, asked.dry


async def measure(wanted: Wanted, modes: list[str], *, as_json: bool, dry: bool) -> None:
    """Run each mode; write and print the summary."""
    name = f"density-{wanted.image}-{wanted.desktops}"
    path = RESULTS / f"{name}.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    summary = {
        "machine": machine(),
        "wanted": asdict(wanted),
        "modes": {} if dry else known.get("modes", {}),
    }
    RESULTS.mkdir(exist_ok=True)
    for mode in modes:
        raw = RESULTS / f"{name}-{mode}.csv"
        found = await density_run.run(wanted, mode, raw)
        summary["modes"][mode] = told(found)
        if dry:
            raw.unlink()
        else:
            path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        if not as_json:
            print(mode, json.dumps(found.figures(), indent=1), *found.errors, sep="\n")
    if not dry:
        chart.memory_over_time(name, sorted(RESULTS.glob(f"{name}-*.csv")))
        chart.seconds(name, {mode: one["login_s"] for mode, one in summary["modes"].items()})
    if as_json:
        print(json.dumps(summary, indent=1))


def told(found: Run) -> dict[str, Any]:
    """A run as the summary has it."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": found.figures(),
        "marks": {phase: asdict(mark) for phase, mark in found.marks.items()},
        "login_s": found.login_s,
        "reconnect_s": found.reconnect_s,
        "errors": found.errors,
    }


def main() -> None:
    """Measure and write bench/results/density-IMAGE-N.json, with raw data and plots."""
    wanted, modes, as_json, dry = parsed()
    run(measure(wanted, modes, as_json=as_json, dry=dry))


if __name__ == "__main__":
    main()
