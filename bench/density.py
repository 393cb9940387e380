"""How many desktops a node holds, and what each step of memory optimisation saves.

Users log in through the port for clients at the given rate, each with a real nxproxy. Each desktop
has an editor and a terminal open; some users type. Then all but some leave, their desktops
hibernate, and a sample comes back. Every mode has a node of its own: all steps off, merging alone,
hibernation alone, all.

A run ends early when the host runs short of memory or time, and removes what it made in any case.
Results are written after each mode, so that a run that was broken off can go on with `--modes`.
"""

import argparse
import asyncio
import json
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import chart, density_keys, density_run, open_files
from bench.density_found import Run, Wanted
from bench.density_stage import MODES
from bench.results_file import RESULTS, machine
from bench.running import run

PUBLISHED = RESULTS / "density.json"


def parsed() -> tuple[Wanted, argparse.Namespace]:
    """What was asked for: the run; and its modes, and where to write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.density", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--desktops", type=int, default=20, metavar="N")
    parser.add_argument("--connected", type=int, default=5, metavar="M", help="who stay (5)")
    parser.add_argument("--image", default="icewm", help="icewm, xfce, lxde or mate")
    parser.add_argument("--logins-per-min", type=float, default=60.0, help="at most so many (60)")
    parser.add_argument("--sample", type=int, default=20, help="who come back (20)")
    parser.add_argument("--typists", type=int, default=20, help="who type, of those who stay (20)")
    parser.add_argument("--stay-s", type=float, default=0.0, metavar="S",
                        help="who leaves is connected for so long (0: until all are)")  # fmt: skip
    parser.add_argument("--settle-s", type=float, default=30.0, help="of each phase (30)")
    parser.add_argument("--memory-mib", type=int, default=320, help="of the flavour (320)")
    parser.add_argument("--browser", action="store_true",
                        help="with Firefox, not an editor")  # fmt: skip
    parser.add_argument("--floor-mib", type=int, default=1536, help="no start below that (1536)")
    parser.add_argument("--limit-s", type=float, default=900.0, help="for one mode (900)")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--name", default=None, help="of the results (density-IMAGE-N)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    asked = parser.parse_args()
    wanted = Wanted(
        desktops=asked.desktops, connected=asked.connected, image=asked.image,
        logins_per_min=asked.logins_per_min, sample=asked.sample, floor_mib=asked.floor_mib,
        limit_s=asked.limit_s, typists=asked.typists, stay_s=asked.stay_s,
        settle_s=asked.settle_s, memory_mib=asked.memory_mib, browser=asked.browser,
    )  # fmt: skip
    return wanted, asked


async def measure(wanted: Wanted, asked: argparse.Namespace) -> None:
    """Run each mode; write and print the summary."""
    image = f"{wanted.image}-browser" if wanted.browser else wanted.image
    name = asked.name or f"density-{image}-{wanted.desktops}"
    path = RESULTS / f"{name}.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    summary: dict[str, Any] = {
        "machine": machine(),
        "wanted": asdict(wanted),
        "modes": {} if asked.dry else known.get("modes", {}),
    }
    RESULTS.mkdir(exist_ok=True)
    for mode in asked.modes:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) if asked.dry else RESULTS
            found = await density_run.run(wanted, mode, place / f"{name}-{mode}.csv")
        summary["modes"][mode] = told(found)
        by_mode = {one: each["figures"] for one, each in summary["modes"].items()}
        summary["saved_mb"] = density_keys.saved(by_mode)
        if not asked.dry:
            path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
            if mode == "all" and not wanted.browser:
                publish(wanted, by_mode[mode], name)
        if not asked.json:
            print(mode, json.dumps(by_mode[mode], indent=1), *found.errors, sep="\n", flush=True)
    if not asked.dry:
        files = sorted(RESULTS.glob(f"{name}-*.csv"))
        chart.memory_over_time(name, files)
        chart.memory_over_desktops(name, files)
        chart.seconds(name, {mode: one["login_s"] for mode, one in summary["modes"].items()})
    if asked.json:
        print(json.dumps(summary, indent=1))


def publish(wanted: Wanted, given: dict[str, Any], name: str) -> None:
    """Keep the figures of the specification, each with the run that gave it."""
    known = json.loads(PUBLISHED.read_text(encoding="utf-8")) if PUBLISHED.exists() else {}
    figures = known.get("figures", {})
    runs = known.get("runs", {})
    for key, value in density_keys.named(wanted, given).items():
        figures[key], runs[key] = value, name
    text = json.dumps({"machine": machine(), "figures": figures, "runs": runs}, indent=1)
    PUBLISHED.write_text(text + "\n", encoding="utf-8")


def told(found: Run) -> dict[str, Any]:
    """A run as the summary has it."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": density_keys.figures(found),
        "marks": {phase: asdict(mark) for phase, mark in found.marks.items()},
        "login_s": found.login_s,
        "reconnect_s": found.reconnect_s,
        "thaw_s": found.thaw_s,
        "thaw_again_s": found.thaw_again_s,
        "echo_few_s": found.echo_few.seconds if found.echo_few else [],
        "echo_s": found.echo_all.seconds if found.echo_all else [],
        "errors": found.errors,
    }


def main() -> None:
    """Measure and write bench/results/density-IMAGE-N.json, with raw data and plots."""
    wanted, asked = parsed()
    open_files.require_for(wanted.desktops)
    # One descriptor for each nxproxy, and not one thread.
    asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    run(measure(wanted, asked))


if __name__ == "__main__":
    main()
