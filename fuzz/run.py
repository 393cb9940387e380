"""Runs every fuzz target for a while: `python -m fuzz.run [--seconds N] [NAME ...]`.

An input that breaks a promise is kept in fuzz/found/ and named; the run then fails.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from fuzz.targets import TARGETS

FOUND: Final = Path(__file__).parent / "found"
GRACE_S: Final = 60
INPUT_BYTES_MAX: Final = 4096


def run(name: str, seconds: int) -> bool:
    """Fuzz one target for so long; whether it kept its promises."""
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="qvdnode-fuzz-") as corpus:
        for number, seed in enumerate(TARGETS[name].seeds):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "fuzz.one", name, corpus),
                f"-max_total_time={seconds}",
                f"-max_len={INPUT_BYTES_MAX}",
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
    names = arguments.names or list(TARGETS)
    each_s = max(1, arguments.seconds // len(names))
    kept = [run(name, each_s) for name in names]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
