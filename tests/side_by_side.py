"""Runs all tests in several runs of pytest side by side: `make test`.

    python -m tests.side_by_side [PYTEST ARGUMENT...]

Most tests wait for something, so several at once need less time; tests.shared_run has who runs
what. What the runs print comes line by line as it is written, failures at the end, run by run.
Ctrl-C, or the end of this program, makes each run remove what its tests made.
"""

import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests import failed_tests

RUNS: Final = 2
"""Of pytest at once. With three on two cores, tests with limits of a second failed now and then."""
PAUSE_S: Final = 0.2
SEED_MAX: Final = 2**32 - 1
BAR: Final = re.compile(r"=+ .* =+")
CLOSING: Final = re.compile(r"=+ \d+ [a-z]+.* in [\d.]+s( \([\d:]+\))? =+")
COLLECTED: Final = re.compile(r"collected \d+ items?")
SINGULARS: Final = {"errors": "error", "warnings": "warning"}


class Output:
    """What a run writes into its file: a head, then a line a file of tests, then the verdict."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._begun = False
        self._head: list[str] = []
        self._tail: list[str] = []

    @property
    def verdict(self) -> list[str]:
        """From the first failure told to the closing line; all, if it came to no test."""
        return self._tail if self._begun else self._head

    def fresh(self, *, ended: bool) -> list[str]:
        """The whole lines about tests that have come since; any rest when the run has ended."""
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            text = file.read()
        whole = text if ended else text[: text.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        return [
            line for line in whole.decode(errors="replace").splitlines() if self._is_progress(line)
        ]

    def _is_progress(self, line: str) -> bool:
        if not self._begun:
            self._head.append(line)
            self._begun = bool(COLLECTED.match(line))
            return self._begun
        if self._tail or BAR.fullmatch(line):
            self._tail.append(line)
            return False
        return bool(line)


def total(lines: Iterable[str]) -> str:
    """The counts of pytest's closing lines among these, added up: `1 failed, 7 passed`."""
    counts = Counter[str]()
    for line in filter(CLOSING.fullmatch, lines):
        for number, word in re.findall(r"(\d+) ([a-z]+)(?=,| in )", line):
            counts[SINGULARS.get(word, word)] += int(number)
    return ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))


def worst(exit_codes: Iterable[int]) -> int:
    """One exit code for all runs; a run that was killed counts as an error of pytest's."""
    internal = int(pytest.ExitCode.INTERNAL_ERROR)
    return max(code if code >= 0 else internal for code in exit_codes)


@contextmanager
def started(folder: Path, arguments: list[str]) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """The runs, each with its output and its record of failures in files of the folder.

    They are asked to end, once, when this program is; the terminal's Ctrl-C would reach them twice.
    """
    seed = secrets.randbelow(SEED_MAX)
    command = [
        sys.executable, "-m", "pytest", "-p", "tests.failed_tests", "-p", "tests.shared_run",
        f"--shared-folder={folder}", f"--randomly-seed={seed}", "--override-ini",
        "console_output_style=classic", *arguments,
    ]  # fmt: skip
    runs: list[subprocess.Popen[bytes]] = []

    def end(*_: object) -> None:
        for run in runs:
            run.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in range(RUNS):
            own = [f"--run-number={number}", f"--record={record_of(folder, number)}"]
            runs.append(start([*command, *own], output_of(folder, number)))
        yield runs
    finally:
        end()
        for run in runs:
            run.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def start(command: list[str], output: Path) -> "subprocess.Popen[bytes]":
    """Start a program that writes into a file and is in a process group of its own."""
    with output.open("wb") as file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, process_group=0
        )


def output_of(folder: Path, number: int) -> Path:
    """What the run of that number writes."""
    return folder / f"output-{number}"


def record_of(folder: Path, number: int) -> Path:
    """How the run of that number ended."""
    return folder / f"record-{number}.json"


def main(arguments: list[str]) -> int:
    """Run them, tell how it went; pytest's exit code for all together."""
    failed_tests.RECORD.unlink(missing_ok=True)
    began_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="qvdnode-runs-"))
    try:
        with started(folder, arguments) as runs:
            outputs = [Output(output_of(folder, number)) for number in range(len(runs))]
            while not show(outputs, runs):
                time.sleep(PAUSE_S)
        records = [failed_tests.read(record_of(folder, number)) for number in range(len(runs))]
    finally:
        shutil.rmtree(folder)
    code = worst(run.returncode for run in runs)
    failed = {name: said for record in records for name, said in record.failed.items()}
    failed_tests.write(failed_tests.RECORD, failed_tests.Run(code, failed))
    for number, output in enumerate(outputs):
        print(f"\nrun {number} of {len(runs)} side by side", *output.verdict, sep="\n")
    told = [line for output in outputs for line in output.verdict]
    print(f"\n==== {total(told)} in {time.monotonic() - began_s:.0f} s ====")
    return code


def show(outputs: list[Output], runs: list["subprocess.Popen[bytes]"]) -> bool:
    """Print what has come, and say whether all runs have ended."""
    ended = [run.poll() is not None for run in runs]
    for output, has_ended in zip(outputs, ended, strict=True):
        for line in output.fresh(ended=has_ended):
            print(line, flush=True)
    return all(ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
