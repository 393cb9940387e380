"""Runs every fuzz target for a while: `python -m fuzz.run [--seconds N] [NAME ...]`.

Inputs that reach new code are kept in fuzz/corpus/, so each run continues where the last one ended.
An input that breaks a promise is kept in fuzz/found/ and printed; the run then fails.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fuzz.target import Target
from fuzz.targets import TARGETS

CORPUS: Final = Path(__file__).parent / "corpus"
FOUND: Final = Path(__file__).parent / "found"
GRACE_S: Final = 300
"""For a slow machine to begin and to end."""


def shares(targets: Mapping[str, Target], seconds: int) -> dict[str, int]:
    """Divide the seconds among the targets by weight; each gets at least one."""
    whole = sum(target.weight for target in targets.values())
    return {
        name: max(1, round(seconds * target.weight / whole)) for name, target in targets.items()
    }


def run(name: str, seconds: int) -> bool:
    """Fuzz one target for this time; return whether it kept its promise."""
    corpus = CORPUS / name
    for folder in (corpus, FOUND):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fuzz.one", TARGETS[name].check.__module__, name, str(corpus)),
            f"-max_total_time={seconds}",
            f"-max_len={TARGETS[name].size_max}",
            f"-artifact_prefix={FOUND}/{name}-",
            "-timeout=5",
            "-rss_limit_mb=1024",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + GRACE_S,
        check=False,
    )
    runs = next((line for line in done.stderr.splitlines() if line.startswith("Done ")), "")
    print(f"{name:18} {'ok' if done.returncode == 0 else 'BROKEN'}  {runs}", flush=True)
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
    return done.returncode == 0


def main() -> int:
    """Fuzz what the command line names, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="in all, shared by the targets")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    arguments = parser.parse_args()
    chosen = {name: TARGETS[name] for name in arguments.names or TARGETS}
    kept = [run(name, part_s) for name, part_s in shares(chosen, arguments.seconds).items()]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
